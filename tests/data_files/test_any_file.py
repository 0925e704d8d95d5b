"""Whatever a file holds, it is read, or one line says what is wrong: never another error, and no row is lost."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.errors import UserError

ROW = {"instruction": "I", "output": "O"}
ASKED, ANSWERED = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
LONG = 2_000_000  # characters of a line


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(*rows: dict[str, Any]) -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def said(speaker: str, content: str, user: str = "user", assistant: str = "assistant") -> bytes:
    return lines({"conversations": [{speaker: user, content: "Q"}, {speaker: assistant, content: "A"}]})


READ = {  # the file, and the answers of its records
    "speaker.jsonl": (said("speaker", "text", "User", "Bot"), ["A"]),
    "author.jsonl": (said("author", "content"), ["A"]),
    "sender.jsonl": (said("sender", "text", "human", "ai"), ["A"]),
    "bing.jsonl": (said("from", "value", "human", "bing"), ["A"]),
    "upper.jsonl": (said("from", "value", "Human", "GPT"), ["A"]),
    "dialogue.jsonl": (lines({"dialogue": [ASKED, ANSWERED]}, {"thread": [ASKED, ANSWERED]}), ["A", "A"]),
    "logged.jsonl": (lines({"messages": [ASKED], "choices": [{"index": 0, "message": ANSWERED}]}), ["A"]),
    "options.jsonl": (lines({"messages": [ASKED, ANSWERED], "choices": [{"label": "x"}, {"label": "y"}]}), ["A"]),
    "no choices.jsonl": (lines({"messages": [ASKED, ANSWERED], "choices": []}), ["A"]),
    "exchanges.jsonl": (lines({"conversation": [{"instruction": "Q", "output": "A", "author": "Ann"}]}), ["A"]),
    "two humans.jsonl": (lines({"conversations": [ASKED, ASKED, ANSWERED]}), ["A"]),
    "text of turns.jsonl": (lines({"conversations": json.dumps([ASKED, ANSWERED])}), ["A"]),
    "structs.parquet": (parquet({"messages": [ASKED, ANSWERED]}), ["A"]),
    "texts.parquet": (parquet({"messages": json.dumps([ASKED, ANSWERED])}), ["A"]),
    "bytes.parquet": (parquet({"instruction": b"I", "output": b"O", "none": None}), ["O"]),
    "bom.json": (b"\xef\xbb\xbf" + json.dumps([ROW]).encode(), ["O"]),
    "bom16.json": (json.dumps([ROW]).encode("utf-16"), ["O"]),
    "packed.jsonl.gz": (gzip.compress(lines(ROW, ROW)), ["O", "O"]),
    "packed.csv.gz": (gzip.compress(b"instruction,output\na,b\n"), ["b"]),
    "empty columns.csv": (b"instruction,output,,\na,b,,\nc,d,,\n", ["b", "d"]),
    "long line.jsonl": (lines({"instruction": "x" * LONG, "output": "y"}), ["y"]),
    "long cell.csv": (b"instruction,output\n" + b"a" * LONG + b",b\n", ["b"]),
    "wrapped.json": (json.dumps({"rows": [{"row_idx": 0, "row": ROW}]}).encode(), ["O"]),
    "keyed.json": (json.dumps({"1": ROW, "2": ROW}).encode(), ["O", "O"]),
}
TOLD = {
    "nothing known.jsonl": lines({"a": 1}),
    "object of turns.parquet": parquet({"conversation": {"user": "Q", "assistant": "A"}}),
    "no answer chosen.jsonl": lines({"messages": [ASKED], "choices": [{"message": ANSWERED}] * 2}),
    "strange choice.jsonl": lines({"messages": [ASKED], "choices": [{}]}),
    "nobody speaks.jsonl": lines({"messages": [{"type": "human", "data": {"content": "Q"}}]}),
    "unknown speaker.jsonl": said("speaker", "text", "user", "narrator"),
    "parts.jsonl": lines({"messages": [{"author": {"role": "user"}, "content": {"parts": ["Q"]}}]}),
    "cut.parquet": parquet(ROW)[:-20],
    "packed.json": gzip.compress(json.dumps([ROW]).encode()),
    "cut.jsonl.gz": gzip.compress(lines(*[ROW] * 500))[:-9],
    "plain.jsonl.gz": lines(ROW),
    "scalar.json": b"3",
    "text.json": b'"abc"',
    "brackets.jsonl": b"[" * LONG,
    "quotes.json": b"[{'instruction': 'a'}]",
    "deep.jsonl": b'{"instruction":"a","n":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "digits.jsonl": b'{"instruction":"a","n":' + b"9" * 5000 + b"}",
    "latin.jsonl": '{"instruction": "\xe9"}'.encode("latin-1"),
}


def read(file: Path, content: bytes) -> tuple[list[str], list[Malformed]]:
    file.write_bytes(content)
    malformed: list[Malformed] = []
    return [record.response for record in read_records([file], malformed)], malformed


@pytest.mark.parametrize("name", READ)
def test_odd_files_are_read(tmp_path: Path, name: str) -> None:
    content, answers = READ[name]
    assert read(tmp_path / name, content) == (answers, [])


@pytest.mark.parametrize("name", TOLD)
def test_files_that_hold_no_record_are_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path / name, TOLD[name])
    assert name in str(error.value) and len(str(error.value).splitlines()) <= 4


def test_rows_of_mixed_kinds_are_read_or_counted(tmp_path: Path) -> None:
    rows = [
        *(ROW, 1, "x", None, True, [], {}, [1, 2], {"a": 1}, {"messages": [ASKED, ANSWERED]}),
        *({"instruction": 1, "output": "o"}, {"instruction": None, "output": "o"}, {"instruction": {}, "output": "o"}),
    ]
    answers, malformed = read(tmp_path / "mixed.jsonl", lines(*rows))
    assert len(answers) + len(malformed) == len(rows) and answers[0] == "O" and "A" in answers
    assert [one.number for one in malformed] == sorted({one.number for one in malformed})
