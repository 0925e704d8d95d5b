"""Data files: `datasets` loads them, TRL trains on them unchanged, and memory does not grow with their length."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.exports import export_rows, trainer_row
from synthetic_instruction_tuner.data_files.parquet import PORTION, write_parquet
from synthetic_instruction_tuner.records import Message, PreferencePair, Record

RECORDS = [
    Record(
        f"raw-{i:06d}",
        f"What is {i} + {i}?",
        f"It is {2 * i}.",
        system="Be brief." if i % 3 == 0 else None,
        history=(Message("user", "Hi"), Message("assistant", "Hello.")) if i % 2 else (),
        provenance={"model": "m", "seed": i},
    )
    for i in range(12)
]
PAIRS = [
    PreferencePair(f"pair-{i}", r.id, r.instruction, r.response, "No.", "a", "b", 1.5, -0.25, r.system, r.history)
    for i, r in enumerate(RECORDS)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    assert export_rows((r.to_json() for r in RECORDS), folder / "records.json") == 12
    assert export_rows((p.to_json() for p in PAIRS), folder / "pairs.json") == 12
    return folder


def load(file: Path, cache: Path) -> Any:
    from datasets import load_dataset

    kind = {".json": "json", ".parquet": "parquet"}[file.suffix]
    return load_dataset(kind, data_files=str(file), split="train", cache_dir=str(cache))


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_datasets_loads_both_forms_and_they_hold_the_same(files: Path, suffix: str, tmp_path: Path) -> None:
    records = load((files / "records").with_suffix(suffix), tmp_path)
    assert [row["messages"] for row in records] == [[m.as_dict() for m in r.messages()] for r in RECORDS]
    pairs = load((files / "pairs").with_suffix(suffix), tmp_path)
    assert set(pairs.column_names) >= {"prompt", "chosen", "rejected", "chosen_model", "chosen_score"}
    for row, pair in zip(pairs, PAIRS, strict=True):
        assert row["prompt"] == [m.as_dict() for m in pair.prompt_messages()]
        assert row["chosen"] == [{"role": "assistant", "content": pair.chosen}]
        assert row["rejected"] == [{"role": "assistant", "content": pair.rejected}]
        assert (row["id"], row["chosen_score"], row["rejected_score"]) == (pair.id, 1.5, -0.25)


def arguments(output: Path) -> dict[str, Any]:
    return {
        "output_dir": str(output),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_trl_trains_on_the_records_unchanged(files: Path, suffix: str, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    from synthetic_instruction_tuner.config import ModelConfig
    from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer

    student = ModelConfig(path="nano:student-llama")
    trainer = SFTTrainer(
        model=load_causal_lm(student, "float32", "cpu"),
        args=SFTConfig(**arguments(tmp_path / "out")),
        train_dataset=load((files / "records").with_suffix(suffix), tmp_path),
        processing_class=load_tokenizer(student),
    )
    trainer.train()
    assert [log["loss"] > 0 for log in trainer.state.log_history if "loss" in log] == [True, True]


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_trl_trains_on_the_pairs_unchanged(files: Path, suffix: str, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    from synthetic_instruction_tuner.config import ModelConfig
    from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer

    student = ModelConfig(path="nano:student-llama")
    trainer = DPOTrainer(
        model=load_causal_lm(student, "float32", "cpu"),
        ref_model=load_causal_lm(student, "float32", "cpu"),
        args=DPOConfig(**arguments(tmp_path / "out")),
        train_dataset=load((files / "pairs").with_suffix(suffix), tmp_path),
        processing_class=load_tokenizer(student),
    )
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert len(losses) == 2 and losses[0] == pytest.approx(0.6931, abs=1e-3)


def test_an_exported_record_is_read_back_as_it_was(files: Path) -> None:
    from synthetic_instruction_tuner.data_files.reading import read_records

    for suffix in (".json", ".parquet"):
        assert list(read_records([(files / "records").with_suffix(suffix)], [])) == RECORDS


def test_rows_of_another_kind_pass_unchanged() -> None:
    assert trainer_row({"a": 1}) == {"a": 1}


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
ROWS = st.lists(
    st.dictionaries(st.sampled_from("abc"), VALUES | st.lists(VALUES, max_size=2) | st.just({"x": 1}), max_size=3),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 4))
def test_any_rows_fit_and_portions_do_not_show(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], portion: int
) -> None:
    import pyarrow.parquet as pq

    from synthetic_instruction_tuner.data_files import parquet as parquetfiles

    folder = tmp_path_factory.mktemp("rows")
    write_parquet(folder / "whole.parquet", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquetfiles, "PORTION", portion)
        write_parquet(folder / "parts.parquet", iter(rows))
    whole, parts = (pq.read_table(folder / f"{name}.parquet") for name in ("whole", "parts"))
    assert whole.schema == parts.schema and whole.to_pylist() == parts.to_pylist()
    assert whole.num_rows == (len(rows) if whole.schema else 0)
    assert not [p for p in folder.iterdir() if p.suffix != ".parquet"]


def test_a_type_that_shows_only_late_holds_for_the_whole_column(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = [{"x": 1, "late": None, "turns": []} for _ in range(PORTION + 1)]
    rows[-1] = {"x": "text", "late": 0.5, "turns": [{"role": "user", "content": "a"}]}
    write_parquet(tmp_path / "a.parquet", rows)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.num_rows == PORTION + 1
    assert [str(table.schema.field(n).type) for n in ("x", "late")] == ["string", "double"]
    assert table["turns"].to_pylist()[-1] == [{"role": "user", "content": "a"}]
    assert table["x"].to_pylist()[:1] == ["1"]


PEAK = """
import resource, sys
from pathlib import Path
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.records import PreferencePair
text = "word " * 100
row = lambda i: PreferencePair(f"p{i}", f"r{i}", text, text + "a", text + "b", "a", "b", 1.0, 0.0).to_json()
import pyarrow.parquet
export_rows((row(i) for i in range(int(sys.argv[1]))), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_stays_flat_over_many_pairs(tmp_path: Path) -> None:
    def peak(count: int) -> float:
        command = [sys.executable, "-c", PEAK, str(count), str(tmp_path / f"{count}.json")]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    few, many = peak(2_000), peak(12_000)  # 12,000 rows are 18 MB of text
    assert many - few < 10, (few, many)


def test_the_files_are_the_same_every_time(tmp_path: Path) -> None:
    rows = [p.to_json() for p in PAIRS] * 300
    random.Random(0).shuffle(rows)
    for name in ("a", "b"):
        export_rows(iter(rows), tmp_path / f"{name}.json")
    for suffix in (".json", ".parquet"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert len(json.loads((tmp_path / "a.json").read_text())) == 3600
