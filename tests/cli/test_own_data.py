"""Runs that start from the user's own records, instructions and pairs, as a user starts them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.data_files.file_hashes import file_hash
from synthetic_instruction_tuner.data_files.own_data import sources
from synthetic_instruction_tuner.data_generation import prompt_answers
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.pipeline import ordered
from synthetic_instruction_tuner.run.roles import used_models
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.store import Store

Sit = Callable[[str], tuple[int, str, str]]
SMALL = (
    "--set models.students=[nano:student-llama] --set models.responders=[nano:responder-llama,nano:responder-qwen2] "
    "--set generate.batch=3 --set generate.response.max_new_tokens=24 --set filter.min_words=1 "
    "--set filter.drop_truncated=false "
)
QUESTIONS = (
    "Why is the sky blue?",
    "Name a river in Egypt.",
    "What is the sum of 3 and 4?",
    "Tell me about the sea.",
    "How do birds fly?",
    "Which metal is liquid at room temperature?",
    "Who wrote the play about Hamlet?",
)
ANSWER = "This is a sentence that answers number {} with some more words."


def write(name: str, rows: Sequence[Any]) -> Path:
    file = Path(name)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def records(n: int = 7) -> list[dict[str, Any]]:
    return [{"question": q, "answer": ANSWER.format(i)} for i, q in enumerate(QUESTIONS[:n])]


def raw(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Path(folder) / "data/raw/instructions_raw.json").read_text())
    return found


def state(sit: Sit, folder: str) -> dict[str, dict[str, Any]]:
    return {stage["stage"]: stage for stage in json.loads(sit(f"status -d {folder} --json")[1])}


def test_records_start_a_run_without_a_generator(sit: Sit) -> None:
    thought = {"thinking": "Hm."}
    file = write("mine.jsonl", [*records(6), records()[6] | thought, {"text": "no record"}])
    code, _, err = sit(f"run --set data.records=mine.jsonl -d r --until filter {SMALL}")
    assert code == 0, err
    assert "skipped: 7 records from mine.jsonl; 1 with thoughts, kept apart from the answers; 1 row could" in err
    assert "not be read (mine.jsonl:8)" in err
    assert "generator" not in err.lower()
    source = {"file": "mine.jsonl", "hash": file_hash(file)["hash"]}
    assert [row["provenance"] for row in raw("r")] == [{"source": source | {"number": n}} for n in range(1, 8)]
    assert [json.loads(line)["number"] for line in Path("r/data/raw/malformed.jsonl").read_text().splitlines()] == [8]
    kept = json.loads(Path("r/data/filtered/instructions_filtered.json").read_text())
    assert [row["instruction"] for row in kept] == list(QUESTIONS), "a profile's filter.keep is not for own records"
    before = state(sit, "r")
    assert (before["generate"]["state"], before["generate"]["rows_out"]) == ("skipped", 7)
    assert "Nothing to do" in sit(f"run -d r --until filter {SMALL}")[2]
    sit("run -d r --until generate --set data.thoughts=in_response")
    assert [raw("r")[n]["response"][:7] for n in (0, 6)] == ["This is", "<think>"]


def test_the_content_of_a_file_decides_whether_a_stage_runs_again(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("mine.jsonl", records())
    assert sit(f"run --set data.records=mine.jsonl -d r --until filter {SMALL}")[0] == 0
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)  # another time, the same content
    assert "Nothing to do" in sit("run -d r --until filter")[2]
    file.write_bytes(content + json.dumps({"question": "What else?", "answer": ANSWER.format(9)}).encode())
    assert state(sit, "r")["generate"]["why"] == "mine.jsonl has changed"
    code, _, err = sit("run -d r --until filter")
    assert code == 0 and "generate runs again: mine.jsonl has changed" in err and len(raw("r")) == 8


def test_a_path_in_a_settings_file_is_relative_to_it(sit: Sit) -> None:
    Path("sub").mkdir()
    write("sub/mine.jsonl", records(3))
    Path("sub/my.yaml").write_text("data: {records: mine.jsonl, count: 2}\n")
    assert sit(f"run -c sub/my.yaml -d r --until generate {SMALL}")[0] == 0
    assert len(raw("r")) == 2
    config = json.loads(Path("r/config.json").read_text())
    assert config["data"]["records"] == [str(Path("sub/mine.jsonl").absolute())]
    assert load_config(file=Path("sub/my.yaml"), overrides=["data.records=[hf:o/n:test]"]).data.records == (
        "hf:o/n:test",
    )


def test_prompts_are_answered_by_the_generator(sit: Sit) -> None:
    write("ask.jsonl", [{"prompt": QUESTIONS[0], "response": "an old answer"}, QUESTIONS[1], {"prompt": " "}])
    Path("more.txt").write_text(f"{QUESTIONS[2]}\n\n")
    code, _, err = sit(f"run --set data.prompts=[ask.jsonl,more.txt] --until generate -d r {SMALL}")
    assert code == 0 and "2 prompts from ask.jsonl; 1 prompt from more.txt" in err, err
    rows = raw("r")
    assert [row["instruction"] for row in rows] == list(QUESTIONS[:3]) and all(row["response"] for row in rows)
    first = rows[0]["provenance"]
    assert first["model"] == "generator" and first["source"]["file"] == "ask.jsonl" and first["response_finish"]
    assert first["fields"] == {"response": "an old answer"} and rows[0]["response"] != "an old answer"


class Asked:
    """In place of the generator: what it was asked; it can be killed before one of its batches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[str]] = []
        self.cut: int | None = None

        @contextmanager
        def engine(*_: Any, **__: Any) -> Iterator[tuple[None, None]]:
            yield None, None

        monkeypatch.setattr(Context, "engine", engine)
        monkeypatch.setattr(prompt_answers, "PromptAnswers", lambda *_, **__: self)

    def answer(self, batch: Sequence[Record], done: Any) -> list[Record]:
        if len(self.batches) == self.cut:
            raise KeyboardInterrupt
        self.batches.append([record.instruction for record in batch])
        done(len(batch))
        return [replace(record, response=f"Answer {len(self.batches)}: {record.instruction}") for record in batch]


def test_no_prompt_is_asked_twice(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    write("ask.jsonl", QUESTIONS)
    line = f"run --set data.prompts=ask.jsonl --until generate -d r {SMALL}"
    asked = Asked(monkeypatch)
    asked.cut = 1
    assert sit(line)[0] == 130
    asked.cut = None
    assert sit(line)[0] == 0
    assert asked.batches == [list(QUESTIONS[:3]), list(QUESTIONS[3:6]), list(QUESTIONS[6:])]
    before = raw("r")
    assert [row["instruction"] for row in before] == list(QUESTIONS)
    write("ask.jsonl", [*QUESTIONS, "What is new?"])
    assert sit(line)[0] == 0
    assert asked.batches[3:] == [["What is new?"]], "the others keep their answers"
    after = raw("r")
    assert [row["response"] for row in after[:-1]] == [row["response"] for row in before]
    assert {row["provenance"]["source"]["hash"] for row in after} == {file_hash(Path("ask.jsonl"))["hash"]}


def test_magpie_may_write_beside_the_user_s_records(sit: Sit) -> None:
    write("mine.jsonl", [{"id": f"raw-00000{n}", **row} for n, row in enumerate(records(2))])
    line = f"run --set data.records=mine.jsonl --set data.mix=true --set generate.count=3 -d r --until generate {SMALL}"
    assert sit(f"{line} --set generate.min_healthy=0 --set generate.instruction.max_new_tokens=24")[0] == 0
    rows = raw("r")
    assert [row["id"] for row in rows] == ["mine-000001", "mine-000002", "raw-000000", "raw-000001", "raw-000002"]
    assert rows[0]["provenance"]["fields"] == {"id": "raw-000000"}
    assert "source" not in rows[2]["provenance"] and rows[2]["provenance"]["model"] == "generator"


def test_pairs_start_a_run_at_dpo(sit: Sit) -> None:
    write(
        "pairs.jsonl", [{"prompt": q, "chosen": ANSWER.format(i), "rejected": "No."} for i, q in enumerate(QUESTIONS)]
    )
    line = f"--set data.pairs=pairs.jsonl -d r {SMALL} --set train.dpo.per_device_train_batch_size=2"
    plan = sit(f"plan {line} --wide")[1]
    assert "responder" not in plan and "generator" not in plan and "reward model" in plan
    assert plan.count("skipped: pairs.jsonl has the pairs, so the run starts at DPO") == 4
    code, _, err = sit(f"run {line} --until dpo")
    assert code == 0, err
    assert err.count("skipped: pairs.jsonl has the pairs, so the run starts at DPO") >= 4
    found = state(sit, "r")
    assert {name for name, one in found.items() if one["state"] == "skipped"} == {
        "generate",
        "filter",
        "prefer",
        "sft",
        "prompt_tuning",
    }
    assert (found["dpo"]["state"], found["dpo"]["rows_in"]) == ("done", 7)
    pairs = json.loads(Path("r/data/preference/preference_pairs.json").read_text())
    assert pairs[0]["prompt"] == [{"role": "user", "content": QUESTIONS[0]}]
    assert pairs[0]["provenance"]["source"]["file"] == "pairs.jsonl" and pairs[0]["chosen_score"] is None
    metrics = json.loads(Path("r/models/dpo/student-llama/metrics.json").read_text())
    assert abs(metrics["first_loss"] - 0.6931) < 1e-3, "the reference is the base model"
    card = Path("r/data/README.md").read_text()
    assert file_hash(Path("pairs.jsonl"))["hash"] in card and "| pairs.jsonl | pairs | 7 | 0 |" in card
    assert not Path("r/data/raw").exists() and "config_name: raw" not in card


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("data.records=mein.jsonl", "Did you mean mine.jsonl?"),
        ("data.records=.", "is a folder"),
        ("data.prompts=empty.jsonl", "an empty file"),
        ("data.records=bare.jsonl", "data.prompts"),
        ("data.pairs=mine.jsonl", "no 'chosen' among its fields"),
        ("data.pairs=scored.jsonl", "sit prefer FILE -o out"),
        ("data.records=broken.json", "not valid JSON"),
        ("data.records=mine.parquet", "not valid Parquet|cannot be read|No record could be read"),
        ("data.records=notes.docx", "Its name must end in"),
        ("data.mix=true", "Mix needs records, prompts or pairs"),
        ("data.recrods=mine.jsonl", "Did you mean 'data.records'?"),
        ("data.records=hf:a:b:c:d", "hf:NAME:SPLIT"),
    ],
)
def test_what_cannot_start_is_refused_before_anything_is_written(sit: Sit, settings: str, says: str) -> None:
    write("mine.jsonl", records(2))
    write("bare.jsonl", [{"prompt": "Why?"}])
    write("scored.jsonl", [{"prompt": "Why?", "responses": ["a", "b"], "scores": [1, 2]}])
    write("empty.jsonl", [])
    for name in ("broken.json", "mine.parquet", "notes.docx"):
        Path(name).write_text('[{"question": "Why?",')
    for verb in ("plan", "run", "generate"):
        code, _, err = sit(f"{verb} --set {settings} -d r")
        assert code == 2 and re.search(says, " ".join(err.split())), err
    assert not Path("r").exists()


def test_a_data_set_of_the_hub_is_read(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    from synthetic_instruction_tuner.data_files import hub_rows

    monkeypatch.setattr(hub_rows, "_loaded", lambda name: datasets.Dataset.from_list(records(3)))
    code, _, err = sit(f"run --set data.records=hf:owner/name:test -d r --until generate {SMALL}")
    assert code == 0 and "3 records from hf:owner/name:test" in err, err
    assert [row["id"] for row in raw("r")] == [f"name-test-00000{n}" for n in (1, 2, 3)]
    assert raw("r")[0]["provenance"]["source"] == {"file": "hf:owner/name:test", "hash": None, "number": 1}


def test_scored_answers_become_pairs_on_the_command_line(sit: Sit) -> None:
    write(
        "scored.jsonl",
        [{"prompt": q, "responses": ["yes it is", "no way at all"], "scores": [0.2, 0.9]} for q in QUESTIONS],
    )
    code, out, err = sit("prefer scored.jsonl -o out")
    assert code == 0, err
    assert out.startswith("Of 7 prompts with scored answers, 7 became pairs.")
    assert sit("prefer scored.jsonl -o out --set prefer.min_margin=0.8")[1].count("small margin 7") == 1
    assert json.loads(sit("prefer scored.jsonl -o out --limit 2 --json")[1])["pairs"] == 2
    assert sit("prefer scored.jsonl")[0] == 2 and sit("prefer -o out")[0] == 2
    assert sit("prefer scored.jsonl -o out")[0] == 0
    write("again.jsonl", [json.loads(line) for line in Path("out/pairs.jsonl").read_text().splitlines()])
    assert sources.source_fault("pairs", "again.jsonl") is None


def test_nothing_changes_without_data_of_the_user_s() -> None:
    config = load_config()
    assert all("data" not in stage.part(config) and not stage.skipped for stage in ordered(config))
    assert {role for role, _ in used_models(config)} == {"generator", "responder", "student", "reward model"}
    own = load_config(overrides=["data.records=a.jsonl"])
    assert {role for role, _ in used_models(own)} == {"responder", "student", "reward model"}
    both = load_config(overrides=["data.records=a.jsonl", "data.pairs=b.jsonl"])
    assert {role for role, _ in used_models(both, ["generate", "filter", "prefer", "sft", "dpo"])} == {"student"}
    assert [stage.name for stage in ordered(both) if stage.skipped] == ["generate", "prefer"]


def test_a_number_of_records_to_keep_is_the_user_s_or_none() -> None:
    own = ["data.records=a.jsonl"]
    assert load_config(overrides=own).filter.keep is None
    assert load_config(overrides=[*own, "filter.keep=7"]).filter.keep == 7
    assert load_config(overrides=own, limit=5).filter.keep == 5
    assert load_config(overrides=["data.pairs=a.jsonl"]).filter.keep == load_config().filter.keep


def test_an_earlier_run_s_findings_are_not_those_of_a_run_with_pairs(sit: Sit) -> None:
    write("mine.jsonl", records(4))
    write("pairs.jsonl", [{"prompt": "Why?", "chosen": "a b", "rejected": "c"}])
    assert sit(f"run --set data.records=mine.jsonl -d r --until filter {SMALL}")[0] == 0
    assert sit("run -d r --set data.records=[] --set data.pairs=pairs.jsonl --until prefer --yes")[0] == 0
    store = Store.open(Path("r/run.sqlite"), readonly=True)
    try:
        assert store.fact("filter_report") is None and store.fact("own_records") is None
        assert store.fact("own_pairs")[0]["rows"] == 1
    finally:
        store.close()
