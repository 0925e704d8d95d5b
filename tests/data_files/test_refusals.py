"""What a record cannot hold, and what only looks like a shape, is reported; a file without any record is an error."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthetic_instruction_tuner.data_files import hub_rows
from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.files import filter_files
from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files
from synthetic_instruction_tuner.records import Record

USER, ANSWER, SYSTEM = ({"role": r, "content": r[0].upper()} for r in ("user", "assistant", "system"))
GOOD = {"instruction": "I", "output": "R"}


def read(*files: Path) -> tuple[list[Record], list[Malformed]]:
    malformed: list[Malformed] = []
    return list(read_records(files, malformed)), malformed


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"messages": [USER, ANSWER | {"tool_calls": [{"id": 1}]}]}, "tool_calls"),
        ({"messages": [USER, {"role": "assistant", "content": None, "function_call": {"name": "f"}}]}, "function_call"),
        ({"messages": [USER, ANSWER | {"weight": 0}]}, "weight"),
        ({"messages": [USER, ANSWER | {"train": False}]}, "train"),
        ({"messages": [USER, ANSWER, SYSTEM, USER, ANSWER]}, "'messages' has a system turn"),
        ({"messages": [USER, {"role": "tool", "content": "7"}, ANSWER]}, "'tool'"),
        ({"conversations": [{"from": "human", "value": "h"}, {"from": "observation", "value": "7"}]}, "'observation'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, ANSWER]}, "image_url"),
        ({"messages": [USER, ANSWER | {"content": [{"type": "thinking", "text": "t"}]}]}, "thinking"),
        ({"instruction": ["a", "b"], "output": ["c", "d"]}, "'instruction'"),
        ({"prompt": ["a", "b"]}, "'prompt'"),
        ({"question": "Which?", "answer": 2}, "'answer'"),
        ({"history": [USER, ANSWER], "chosen": "c", "rejected": "r"}, "history"),
        ({"prompt": "p", "completion": "c", "label": False}, "label"),
        (USER, "single turn"),
        (["a", "b"], "list"),
    ],
)
def test_a_row_that_a_record_cannot_hold_is_reported_with_the_fields_name(
    tmp_path: Path, row: object, named: str
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(GOOD) + "\n")
    records, (wrong,) = read(tmp_path / "a.jsonl")
    assert [record.response for record in records] == ["R"]
    assert wrong.number == 1 and named in wrong.problem


@pytest.mark.parametrize(
    ("turns", "thinking", "kept"),
    [
        ([USER, ANSWER | {"reasoning_content": "T"}], "T", False),
        ([USER, ANSWER | {"thinking": "T", "tool_calls": [], "reasoning_content": None}], "T", False),
        ([USER, ANSWER | {"reasoning": "T", "thinking": "other"}], "T", True),
        ([USER, ANSWER | {"reasoning": "old"}, USER, ANSWER], None, True),
        ([USER, ANSWER | {"weight": 0}, USER, ANSWER | {"weight": 1}], None, True),
        ([USER | {"name": "Ann"}, ANSWER], None, True),
        ([USER, ANSWER], None, False),
    ],
)
def test_what_turns_hold_beside_their_texts_is_kept(
    tmp_path: Path, turns: list[Any], thinking: str | None, kept: bool
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": turns}))
    ((record,), malformed) = read(tmp_path / "a.jsonl")
    assert not malformed and (record.response, record.thinking) == ("A", thinking)
    assert record.provenance.get("fields") == ({"messages": turns} if kept else None)


def test_a_second_system_prompt_or_thought_is_kept(tmp_path: Path) -> None:
    turns = [SYSTEM, USER, ANSWER | {"thinking": "inner"}]
    rows = [{"messages": turns, "system": "outer"}, {"messages": turns, "thinking": "outer"}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    records, _ = read(tmp_path / "a.json")
    assert [(r.system, r.thinking) for r in records] == [("outer", "inner"), ("S", "outer")]
    assert all(r.provenance["fields"] == {"messages": turns} for r in records)


@pytest.mark.parametrize(
    ("row", "response"),
    [
        ({"instruction": "x", "response": "", "output": "y"}, "y"),
        ({"question": "x", "answer": None, "response": "y"}, "y"),
        ({"prompt": "x", "response": " ", "solution": "y"}, "y"),
        ({"problem": "x", "solution": "y"}, "y"),
        ({"Question": "x", "Answer": "y"}, "y"),
        ({"instruction": "x", "Response": "y"}, "y"),
        ({"prompt": "x", "completion": "", "messages": [USER | {"content": "x"}, ANSWER]}, "A"),
        ({"prompt": "x", "chosen": "y", "rejected": "z"}, "y"),
        ({"prompt": "x", "chosen": [USER | {"content": "x"}, ANSWER], "rejected": [ANSWER]}, "A"),
        ({"question": "x", "system": "", "chosen": "y", "rejected": "z"}, "y"),
        ({"chosen": "\n\nHuman: x\n\nAssistant: y", "rejected": "\n\nHuman: x\n\nAssistant: z"}, "y"),
        ({"prompt": "\n\nHuman: x\n\nAssistant: ", "chosen": "y", "rejected": "z"}, "y"),
        ({"prompt": "Human: x\n\nAssistant:", "response": "y"}, "y"),
        ({"instruction": "x", "input": float("nan"), "output": "y"}, "y"),
        ({"instruction": "x", "response": ""}, ""),
    ],
)
def test_the_answer_is_found_under_its_usual_names(tmp_path: Path, row: dict[str, Any], response: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    ((record,), malformed) = read(tmp_path / "a.jsonl")
    assert not malformed and (record.instruction, record.response) == ("x", response)


def test_a_prompt_that_is_a_transcript_is_turns(tmp_path: Path) -> None:
    prompt = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    rows = [{"prompt": prompt, "response": "d"}, {"prompt": "Say 'Human: a\n\nAssistant: b'.", "response": "d"}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (spoken, quoted), _ = read(tmp_path / "a.json")
    assert [turn.content for turn in spoken.history] == ["a", "b"] and spoken.instruction == "c"
    assert quoted.instruction == rows[1]["prompt"] and not quoted.history


def test_instances_are_records_of_their_own(tmp_path: Path) -> None:
    row = {"id": "s", "instruction": "I", "instances": [{"input": "", "output": "1"}, {"input": "X", "output": "2"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    records, _ = read(tmp_path / "a.jsonl")
    assert [(r.id, r.instruction, r.response) for r in records] == [("s", "I", "1"), ("a-000001", "I\n\nX", "2")]


@pytest.mark.parametrize(
    "document",
    [
        {"instruction": ["a", "b"], "output": ["c"]},
        {"id": [1, 2], "conversations": ["a", "b"]},
        {"instruction": "x", "input": ["a", "b"], "output": "y"},
        {"instruction": {"0": "a", "1": "b"}, "output": {"0": "c"}},
        {"instruction": {"en": "a", "de": "b"}, "output": "c"},
        {"id": 5, "data": GOOD},
        [USER, ANSWER, USER, ANSWER],
        [["a", "b"], ["c", "d"]],
        ["a", "b"],
        {"text": "x"},
        {"data": [{"title": "t", "paragraphs": []}]},
        5,
        None,
    ],
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_documents_that_only_look_like_rows_are_refused(tmp_path: Path, document: object, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_text(json.dumps(document, indent=1))
    with pytest.raises(UserError, match=r"No record could be read from .*\n.*It looks like"):
        read(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b"<!DOCTYPE html><html>", "web page"),
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "gzip"),
        ("a.csv", b"PK\x03\x04rest", "spreadsheet"),
        ("a.json", b"PAR1rest", "Parquet"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        ("a.jsonl", b"plain text\nof two lines\n", "not JSON"),
        ("a.jsonl", b"{'instruction': 'I', 'output': 'R'}\n", "not JSON"),
        ("a.json", b'[{"instruction": "I", "output": "R"},\n{"instru', "not valid JSON"),
        ("a.csv", b"Why?,Because.\n", "with the columns"),
        ("a.csv", b"instruction,output,output\na,b,c\n", "same name: output"),
        ("a.csv", b'instruction,output\nx,"open\ny,z\n', "never closed, from line 2 to 3"),
        ("a.jsonl", '{"instruction": "I"}'.encode("utf-16")[:-1], "UTF-16"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    for verb in (filter_files, dedup_files):
        with pytest.raises(UserError, match=said):
            verb([tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out" / "kept.jsonl").exists()


def test_rows_of_a_table_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    lines = ["instruction,output", "a,b", "broken line", "", "c,d,e", 'f,"g "h" i"', 'j,"two\nlines"', "k,\xff", ",l"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("latin-1"))
    records, malformed = read(tmp_path / "a.csv")
    assert [(r.id, r.instruction, r.response) for r in records] == [
        ("a-000001", "a", "b"),
        ("a-000005", "j", "two\nlines"),
    ]
    assert [(m.number, m.problem.split(":")[0]) for m in malformed] == [
        (2, "a row of 1 cells below a header of 2"),
        (3, "a row of 3 cells below a header of 2"),
        (4, "no row of CSV"),
        (6, "not UTF-8"),
        (7, "no instruction, prompt, question, messages or conversations among its fields (instruction, output)"),
    ]


def test_null_in_a_table_is_no_text_where_a_cell_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",instruction,input,output\n0,a,NaN,b\n1,c,,NULL\n")
    records, _ = read(tmp_path / "a.csv")
    assert [(r.instruction, r.response) for r in records] == [("a", "b"), ("c", "NULL")]
    assert [r.provenance["fields"] for r in records] == [{"column_1": "0"}, {"column_1": "1"}]


def test_broken_objects_among_pretty_ones_are_counted(tmp_path: Path) -> None:
    whole = json.dumps(GOOD, indent=1)
    (tmp_path / "a.json").write_text(f'{whole}\n{{\n "instruction": oops\n}}\n{whole}\n')
    records, (wrong,) = read(tmp_path / "a.json")
    assert len(records) == 2 and wrong.number == 2


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["instruction", "output", "output"]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="same name: output"):
        read(tmp_path / "a.parquet")


def test_parquet_holds_nan_and_bytes(tmp_path: Path) -> None:
    rows = {"instruction": [b"a", b"\xff"], "input": [float("nan")] * 2, "output": ["b", "c"]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    ((record,), (wrong,)) = read(tmp_path / "a.parquet")
    assert (record.instruction, record.response) == ("a", "b") and "'instruction'" in wrong.problem


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        row = {"instruction": f"What is {split}?", "output": "A part of the data."}
        (tmp_path / "set" / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def test_data_sets_of_the_hub(hub: Path) -> None:
    pytest.importorskip("datasets")
    for name, asked in (("hf:./set", "train"), ("hf:./set:train", "train"), ("hf:./set:test", "test")):
        ((record,), _) = read(Path(name))
        assert record.instruction == f"What is {asked}?"
        assert record.provenance == {"file": name, "number": 1}
    assert record.id == "set-test-000001"
    with pytest.raises(UserError, match="it has train, test"):
        read(Path("hf:./set:nope"))
    assert dedup_files([Path("hf:./set:test")], hub / "out", against=[Path("hf:./set")]).kept == 1


@pytest.mark.parametrize("name", ["hf:", "hf:a:", "hf:a:b:c:d", "hf::x"])
def test_names_that_are_no_data_sets(name: str) -> None:
    with pytest.raises(UserError, match="hf:NAME:CONFIG:SPLIT"):
        read(Path(name))


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def unreachable(*names: str) -> None:
        asked.append(names)
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match="Couldn't reach"):
        read(Path("hf:owner/name:config:split"))
    assert asked == [("owner/name", "config")]
    assert hub_rows.is_hub_name(Path("hf:owner/name"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"instruction": {"type": "string"}, "output": {"type": "string"}}},
        {"features": {"instruction": {"dtype": "string", "_type": "Value"}, "response": {"dtype": "string"}}},
        {"dataset_info": {"features": {"question": {"dtype": "string"}}}},
    ],
)
def test_a_schema_is_no_table(tmp_path: Path, schema: Any) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    with pytest.raises(UserError, match="No record could be read"):
        read(tmp_path / "schema.json")


@pytest.mark.parametrize("name", ["table.csv", "rows.jsonl"])
def test_bytes_that_are_no_text_are_named_and_not_shown(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(128, 255)) * 3 + b"\n\xff\n")
    with pytest.raises(UserError) as raised:
        read(tmp_path / name)
    assert raised.value.cause.startswith("It looks like binary data")


def test_cells_with_other_line_separators_are_read_whole(tmp_path: Path) -> None:
    said = "Mars\u0085is\u2028a\u2029red\x0b\x0c\x1c\x1d\x1eone."
    tables = {"a.csv": ",", "a.tsv": "\t"}
    for name, delimiter in tables.items():
        (tmp_path / name).write_text(f"question{delimiter}answer\nWhat\u2028is it?{delimiter}{said}\n", "utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"question": "What\u2028is it?", "answer": said}, ensure_ascii=False))
    for name in (*tables, "a.jsonl"):
        (record,), malformed = read(tmp_path / name)
        assert (record.instruction, record.response, malformed) == ("What\u2028is it?", said, [])
