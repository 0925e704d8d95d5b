from __future__ import annotations

from pathlib import Path

import pytest
from tests.shared_data import shared

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.config.sections.evaluate import EvaluateConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import data_keys, lacking, usable
from synthetic_instruction_tuner.run.checks.before_start import check_benchmarks

LACKING = ("evaluate.benchmarks=[nano_mmlu, ifeval]",)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no_cache"))


def test_what_is_not_here_is_left_out_or_stops_the_run(tmp_path: Path) -> None:
    config = load_config(overrides=[*LACKING, f"evaluate.data_dir={tmp_path}"])
    assert usable(config.evaluate) == ("nano_mmlu",) and list(lacking(config.evaluate)) == ["ifeval"]
    assert data_keys(config.evaluate) == {"ifeval": None}
    (check,) = check_benchmarks(config)
    assert check.ok and "leaves the benchmark out" in check.found and "sit benchmarks fetch" in check.found
    required = load_config(overrides=[*LACKING, f"evaluate.data_dir={tmp_path}", "evaluate.require=true"])
    (check,) = check_benchmarks(required)
    assert not check.ok and check.name == "ifeval" and "sit benchmarks fetch" in check.fix
    assert check_benchmarks(required, until="sft") == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        lacking(EvaluateConfig(benchmarks=("ifeval",), data_dir=str(tmp_path / "none")))


def test_a_damaged_file_stops_the_run_also_where_nothing_is_required(tmp_path: Path) -> None:
    (tmp_path / "ifeval").mkdir()
    (tmp_path / "ifeval/input_data.jsonl").write_text('{"key": 1, "prom')
    config = load_config(overrides=[*LACKING, f"evaluate.data_dir={tmp_path}"])
    (check,) = check_benchmarks(config)
    assert not check.ok and "Row 1" in check.found


def test_the_place_of_files_is_no_part_of_the_key() -> None:
    one = EvaluateConfig(benchmarks=("ifeval",), data_dir="here")
    other = EvaluateConfig(benchmarks=("ifeval",), data_dir="there", require=True)
    assert one.key_part() == other.key_part()
    assert one.key_part() != one.model_copy(update={"limit_items": 3}).key_part()
    nano = EvaluateConfig().key_part()
    assert set(nano) == {"benchmarks", *EvaluateConfig().benchmarks}


def test_published_files_have_keys() -> None:
    config = EvaluateConfig(benchmarks=("ifeval", "mmlu"), data_dir=str(shared("ifeval").parent))
    assert usable(config) == config.benchmarks and all(data_keys(config).values())
