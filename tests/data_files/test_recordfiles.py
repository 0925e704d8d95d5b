"""Reading the user's records in the usual shapes, and writing files whole."""

from __future__ import annotations

import errno
import gzip
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.atomic_writing import write_json, write_jsonl, write_text
from synthetic_instruction_tuner.data_files.parquet import write_parquet
from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files
from synthetic_instruction_tuner.records import Message, Record

USER, ASSISTANT, SYSTEM = ({"role": r, "content": r[0].upper()} for r in ("user", "assistant", "system"))
WRITERS = {".json": write_json, ".jsonl": write_jsonl, ".parquet": write_parquet}


def read(*files: Path) -> tuple[list[Record], list[Malformed]]:
    malformed: list[Malformed] = []
    return list(read_records(files, malformed)), malformed


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "I", "response": "R"}, ("I", "R", None, 0)),
        ({"instruction": "I", "input": "", "output": "R"}, ("I", "R", None, 0)),
        ({"instruction": "I", "input": "X", "output": "R", "system": "S"}, ("I\n\nX", "R", "S", 0)),
        ({"prompt": "I", "completion": "R"}, ("I", "R", None, 0)),
        ({"prompt": [SYSTEM, USER], "completion": [ASSISTANT]}, ("U", "A", "S", 0)),
        ({"question": "I", "answer": "R"}, ("I", "R", None, 0)),
        ({"messages": [USER, ASSISTANT]}, ("U", "A", None, 0)),
        ({"messages": [SYSTEM, USER, ASSISTANT, USER, ASSISTANT]}, ("U", "A", "S", 2)),
        ({"messages": [USER]}, ("U", "", None, 0)),
        (
            {"conversations": [{"from": "human", "value": "I"}, {"from": "gpt", "value": "R"}]},
            ("I", "R", None, 0),
        ),
        ({"instruction": "I"}, ("I", "", None, 0)),
        ({"prompt": "I", "input": "X", "completion": "R"}, ("I\n\nX", "R", None, 0)),
        ({"question": "I", "input": "X", "answer": "R"}, ("I\n\nX", "R", None, 0)),
        ({"input": "I", "output": "R"}, ("I", "R", None, 0)),
        ({"instruction": "", "input": "I", "output": "R"}, ("I", "R", None, 0)),
        ({"prompt": "U", "messages": [USER, ASSISTANT, USER, ASSISTANT]}, ("U", "A", None, 2)),  # UltraChat
        ({"prompt": "", "messages": [USER, ASSISTANT]}, ("U", "A", None, 0)),
        ({"prompt": "U", "completion": None, "messages": [USER, ASSISTANT]}, ("U", "A", None, 0)),
        ({"prompt": "I", "completion": "R", "messages": [USER, ASSISTANT]}, ("I", "R", None, 0)),
    ],
)
def test_usual_shapes(tmp_path: Path, suffix: str, row: dict[str, Any], expected: tuple[Any, ...]) -> None:
    file = tmp_path / f"mine{suffix}"
    WRITERS[suffix](file, [row])
    (record,), malformed = read(file)
    assert (record.instruction, record.response, record.system, len(record.history)) == expected
    assert record.id == "mine-000001" and not malformed
    assert record.provenance["file"] == file.name


@pytest.mark.parametrize(
    "row",
    [
        [],
        5,
        None,
        "text",
        {},
        {"text": "x"},
        {"instruction": 5, "response": "x"},
        {"instruction": "x", "response": ["y"]},
        {"messages": "x"},
        {"messages": []},
        {"messages": [ASSISTANT]},
        {"messages": [USER, SYSTEM]},
        {"messages": [USER, ASSISTANT, ASSISTANT]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [5]},
        {"instruction": "x", "response": "y", "history": [["a", "b", "c"]]},
    ],
)
def test_wrong_rows_are_told_by_number(tmp_path: Path, row: object) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"instruction": "I"}\n\n' + json.dumps(row) + '\n{"prompt": "P"}\n')
    records, (wrong,) = read(file)
    assert [r.instruction for r in records] == ["I", "P"]
    assert (wrong.file, wrong.number) == ("a.jsonl", 3) and wrong.problem


def test_wrong_lines_are_told_by_number(tmp_path: Path) -> None:
    lines = [b"\xef\xbb\xbf" + b'{"instruction": "I"}', b"{broken", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b"  "]
    lines += ['{"instruction": "one\u2028line"}'.encode(), b'{"instruction": "\\ud800"}\r']
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(lines))
    records, malformed = read(file)
    assert [r.instruction for r in records] == ["I", "one\u2028line", "\ud800"]
    assert [m.number for m in malformed] == [2, 3, 4, 5]
    assert all(len(m.text) <= 200 for m in malformed)


@pytest.mark.parametrize("content", ["", "\n\n", "[]", '{"data": []}'])
def test_empty_files_hold_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    assert read(file) == ([], [])


def test_lines_in_a_json_file_and_a_list_under_data(tmp_path: Path) -> None:
    lines, data = tmp_path / "a.json", tmp_path / "b.json"
    lines.write_text('{"instruction": "1"}\n{"instruction": "2"}\nnot\n')
    data.write_text('{"data": [{"instruction": "3"}, 4]}')
    records, malformed = read(lines, data)
    assert [r.instruction for r in records] == ["1", "2", "3"]
    assert [(m.file, m.number) for m in malformed] == [("a.json", 3), ("b.json", 2)]


@pytest.mark.parametrize("name", ["none.jsonl", "a.csv", "folder.json", "broken.parquet", "broken.json"])
def test_files_that_cannot_be_read_are_the_users_mistake(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "a.csv").write_text("a,b")
    for broken in ("broken.parquet", "broken.json"):
        (tmp_path / broken).write_text("[{]")
    with pytest.raises(UserError, match=name):
        read(tmp_path / name)


def test_ids_are_unique_and_kept_where_free(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [{"id": i, "instruction": "x"} for i in ("q", "q", 7, "a-000005", None, " ", "a-000001", "q")])
    records, _ = read(file, file)
    ids = [r.id for r in records]
    assert len(set(ids)) == len(ids) == 16
    assert ids[:4] == ["q", "a-000002", "7", "a-000005"]


def test_other_fields_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [{"instruction": "x", "output": "y", "topic": "sea", "none": None}])
    assert read(file)[0][0].provenance == {"file": "a.jsonl", "number": 1, "fields": {"topic": "sea"}}


def test_a_conversation_that_says_something_else_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    pair = {"prompt": "U", "completion": "A"}
    write_jsonl(file, [pair | {"messages": [USER, ASSISTANT]}, pair | {"messages": [USER]}, pair | {"messages": "x"}])
    kept = [record.provenance.get("fields") for record in read(file)[0]]
    assert kept == [None, {"messages": [USER]}, {"messages": "x"}]


def test_rows_with_a_provenance_of_their_own_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    row = {"id": "q", "instruction": "I", "response": "R", "thinking": "T"}
    more = {"quality": 4, "category": "math", "system_prompt": "second"}
    provenance = {"model": "m", "fields": {"topic": "sea"}}
    write_jsonl(file, [row | more | {"system": "S", "provenance": provenance}, row | {"provenance": "a web page"}])
    first, second = read(file)[0]
    assert (first.thinking, first.system) == ("T", "S")
    assert first.provenance == {"model": "m", "fields": {"topic": "sea"} | more}
    assert second.provenance["fields"] == {"provenance": "a web page", "id": "q"}
    write_jsonl(file, [first.to_json()])
    assert read(file)[0] == [first]


def test_an_id_that_was_taken_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [{"id": "q", "instruction": "1"}, {"id": "q", "instruction": "2"}, {"instruction": "3"}])
    records, _ = read(file, file)
    kept = [(record.id, record.provenance.get("fields")) for record in records]
    assert kept[:3] == [("q", None), ("a-000002", {"id": "q"}), ("a-000003", None)]
    assert kept[3:5] == [("a-000001", {"id": "q"}), ("a-000002x", {"id": "q"})]
    assert kept[5] == ("a-000003x", None)


def test_every_list_of_rows_in_an_object_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    splits = {name: [{"instruction": name}] for name in ("train", "extra", "test")}
    file.write_text(json.dumps({"version": 1, "languages": ["en"]} | splits))
    records, malformed = read(file)
    assert [r.instruction for r in records] == ["train", "extra", "test"] and not malformed


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_become_null(tmp_path: Path, number: float) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {
        "instruction": ["one thing", "another"],
        "response": ["a", "b"],
        "score": [number, 1.0],
        "list": [[number]] * 2,
    }
    source = tmp_path / "mine.parquet"
    pq.write_table(pa.table(rows), source)
    records, _ = read(source)
    assert [r.provenance["fields"]["score"] for r in records] == [None, 1.0]
    dedup_files([source], tmp_path / "out")
    write_jsonl(tmp_path / "a.jsonl", [{"score": number, "text": "\ud800 é"}])

    def strict(file: Path) -> list[Any]:
        return [json.loads(line, parse_constant=pytest.fail) for line in file.read_text().splitlines()]

    assert [(row["score"], row["list"]) for row in strict(tmp_path / "out" / "kept.jsonl")] == [
        (None, [None]),
        (1.0, [None]),
    ]
    assert strict(tmp_path / "a.jsonl") == [{"score": None, "text": "\ud800 é"}]


def test_a_damaged_gzip_file_is_the_users_mistake(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b'{"instruction": "%d"}\n' % (number * 7919) for number in range(2000)))
    file = tmp_path / "a.jsonl.gz"
    for place in range(0, len(packed) - 8, len(packed) // 40):
        file.write_bytes(packed[:place] + b"\xff" * 8 + packed[place + 8 :])
        with suppress(UserError):
            read(file)
    with pytest.raises(UserError, match="damaged"):
        file.write_bytes(packed[:100] + b"\xff" * 8 + packed[108:])
        read(file)


texts = st.text(st.characters(codec=None), max_size=20)
records = st.lists(
    st.builds(
        Record,
        id=st.uuids().map(str),
        instruction=texts,
        response=texts,
        system=st.none() | st.text(min_size=1, max_size=5),
        history=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), texts), max_size=2).map(tuple),
        domain=st.none() | st.text(min_size=1, max_size=5),
        provenance=st.dictionaries(st.text(max_size=5), st.integers(0, 9) | st.none() | texts, max_size=2),
        thinking=st.none() | st.text(min_size=1, max_size=5),
    ),
    max_size=4,
    unique_by=lambda r: r.id,
)


@settings(max_examples=30, deadline=None)
@given(records)
def test_written_records_are_read_back_equal(tmp_path_factory: pytest.TempPathFactory, rows: list[Record]) -> None:
    folder = tmp_path_factory.mktemp("written")
    for suffix, write in WRITERS.items():
        file = folder / f"r{suffix}"
        assert write(file, rows) == len(rows)
        back, malformed = read(file)
        assert not malformed
        if suffix == ".parquet":  # its texts are UTF-8, so lone surrogates are replaced
            assert [r.id for r in back] == [r.id for r in rows]
        else:
            assert back == rows
        first = file.read_bytes()
        write(file, rows)
        assert file.read_bytes() == first


def test_parquet_holds_what_json_holds(tmp_path: Path) -> None:
    rows = [Record(f"r{i}", "Why?", "So.", history=(Message("user", "a"),) * i, provenance={"seed": i}) for i in (0, 1)]
    write_parquet(tmp_path / "a.parquet", rows)
    assert read(tmp_path / "a.parquet")[0] == rows
    write_parquet(tmp_path / "b.parquet", [{"x": 1, "instruction": "I"}, {"x": "mixed", "instruction": "J"}])
    assert [r.instruction for r in read(tmp_path / "b.parquet")[0]] == ["I", "J"]


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, RunError), (errno.EACCES, UserError)])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [{"instruction": "old"}])

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(kind, match=r"a\.jsonl"):
        write_jsonl(file, [{"instruction": "new"}])
    assert json.loads(file.read_text()) == {"instruction": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_an_error_within_the_rows_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old")

    def rows() -> Any:
        yield {"a": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "a.json", rows())
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
