"""The same records in every shape read back equal, and what only looks like a shape is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.records import Message, Record

Rows = list[dict[str, Any]]


def read(*files: Path) -> tuple[list[Record], list[Malformed]]:
    malformed: list[Malformed] = []
    return list(read_records(files, malformed)), malformed


def texts_of(record: Record) -> tuple[Any, ...]:
    return record.instruction, record.response, record.system, record.history


def dumped(value: Any, **more: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, **more).encode()


def joined(rows: Rows, end: bytes, **more: Any) -> bytes:
    return b"".join(dumped(row, **more) + end for row in rows)


def columns(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def pandas(rows: Rows, orient: Any) -> bytes:
    return str(pd.DataFrame(rows).to_json(orient=orient, force_ascii=False)).encode()


def table(rows: Rows, delimiter: str, mark: str = "", end: str = "\r\n", first: str = "") -> bytes:
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if "\r" in end else csv.QUOTE_ALL  # the writer leaves a lone CR bare
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(rows[0])
    cells = ([json.dumps(v) if isinstance(v, list) else v for v in row.values()] for row in rows)
    writer.writerows(cells)
    return (mark + first + out.getvalue()).encode()


def parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def as_keyed(rows: Rows, key: str) -> bytes:
    return dumped({key.format(number): row for number, row in enumerate(rows)})


SHAPES: dict[str, tuple[str, Callable[[Rows], bytes]]] = {
    "lines": ("jsonl", lambda rows: joined(rows, b"\n")),
    "lines that Windows ends": ("jsonl", lambda rows: joined(rows, b"\r\n")),
    "lines that CR ends": ("jsonl", lambda rows: joined(rows, b"\r")),
    "lines with commas": ("jsonl", lambda rows: joined(rows, b",\n")),
    "lines in .json": ("json", lambda rows: joined(rows, b"\n")),
    "packed lines": ("jsonl.gz", lambda rows: gzip.compress(joined(rows, b"\n"))),
    "a text sequence": ("jsonl", lambda rows: b"".join(b"\x1e" + dumped(row) + b"\n" for row in rows)),
    "no line breaks": ("json", lambda rows: joined(rows, b"")),
    "pretty objects": ("jsonl", lambda rows: joined(rows, b"\n", indent=1)),
    "pretty objects in .json": ("json", lambda rows: joined(rows, b"\n\n", indent=4)),
    "a list": ("json", dumped),
    "a list in .jsonl": ("jsonl", dumped),
    "a pretty list in .jsonl": ("jsonl", lambda rows: dumped(rows, indent=2)),
    "a list of a row a line": ("jsonl", lambda rows: b"[\n" + b",\n".join(map(dumped, rows)) + b"\n]\n"),
    "lists one after the other": ("json", lambda rows: b"\n".join(dumped(r) for r in (rows[:1], rows[1:]) if r)),
    "portions": ("json", lambda rows: dumped([rows[:1], *([rows[1:]] if rows[1:] else [])])),
    "UTF-8 with a mark": ("json", lambda rows: b"\xef\xbb\xbf" + dumped(rows)),
    "UTF-16": ("jsonl", lambda rows: joined(rows, b"\n").decode().encode("utf-16")),
    "UTF-16 without a mark": ("json", lambda rows: dumped(rows).decode().encode("utf-16-be")),
    "UTF-32": ("json", lambda rows: dumped(rows, indent=1).decode().encode("utf-32")),
    "columns": ("json", lambda rows: dumped(columns(rows))),
    "columns with facts": ("json", lambda rows: dumped({"version": 3, **columns(rows)})),
    "pretty columns in .jsonl": ("jsonl", lambda rows: dumped(columns(rows), indent=1)),
    "columns by split": ("json", lambda rows: dumped({"train": columns(rows)})),
    "rows under data": ("json", lambda rows: dumped({"version": "1", "data": rows})),
    "rows under another name": ("json", lambda rows: dumped({"version": "1", "train_sft": rows})),
    "rows by name": ("json", lambda rows: as_keyed(rows, "q-{}")),
    "rows by number": ("json", lambda rows: as_keyed(rows, "{}")),
    "a table with a header": ("json", lambda rows: dumped([list(rows[0]), *(list(row.values()) for row in rows)])),
    **{f"pandas {o}": ("json", lambda rows, o=o: pandas(rows, o)) for o in ("columns", "index", "split", "table")},
    "pandas records": ("jsonl", lambda rows: pandas(rows, "records")),
    "CSV": ("csv", lambda rows: table(rows, ",")),
    "CSV of Unix": ("csv", lambda rows: table(rows, ",", end="\n")),
    "CSV of Excel": ("csv", lambda rows: table(rows, ";", "\ufeff")),
    "CSV that says its delimiter": ("csv", lambda rows: table(rows, "|", first="sep=|\n")),
    "CSV in UTF-16": ("csv", lambda rows: table(rows, "\t").decode().encode("utf-16")),
    "packed CSV": ("csv.gz", lambda rows: gzip.compress(table(rows, ","))),
    "TSV": ("tsv", lambda rows: table(rows, "\t")),
    "Parquet": ("parquet", parquet),
}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
said = text.filter(str.strip)
words = st.sampled_from(
    ['two\nlines, "quoted"; one', "a\u0085b\u2028c\u2029d", "x\ry", "\ttab", "{", '["a"]', "=1+1", "é"]
)
turns = st.lists(st.tuples(said | words, said | words), max_size=2)
contents = st.lists(st.tuples(said | words, text | words, said | st.none(), turns), min_size=1, max_size=4)


def history_of(pairs: list[tuple[str, str]]) -> tuple[Message, ...]:
    return tuple(m for ask, answer in pairs for m in (Message("user", ask), Message("assistant", answer)))


def is_null(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in ("nan", "null", "none", "<na>")


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=6, deadline=None)
@given(contents)
def test_the_same_records_in_every_shape(tmp_path_factory: pytest.TempPathFactory, shape: str, given_: Any) -> None:
    suffix, write = SHAPES[shape]
    folder = tmp_path_factory.mktemp("shapes", numbered=True)
    system = [None if is_null(s) else s for _, _, s, _ in given_]
    wanted = [(i, r, s, history_of(h)) for (i, r, _, h), s in zip(given_, system, strict=True)]
    pairs: Rows = [
        {"instruction": i, "response": r, "system": s, "history": [list(pair) for pair in h]}
        for (i, r, _, h), s in zip(given_, system, strict=True)
    ]
    chats: Rows = [
        {
            "messages": [
                *([{"role": "system", "content": s}] if s else []),
                *(m.as_dict() for m in h),
                {"role": "user", "content": i},
                {"role": "assistant", "content": r},
            ],
            "number": number,
        }
        for number, (i, r, s, h) in enumerate(wanted)
    ]
    for name, rows in (("pairs", pairs), ("chats", chats)):
        file = folder / f"{name}.{suffix}"
        file.write_bytes(write([dict(row) for row in rows]))
        records, malformed = read(file)
        assert not malformed
        assert list(map(texts_of, records)) == wanted
        assert len({record.id for record in records}) == len(records)


@settings(max_examples=30, deadline=None)
@given(contents)
def test_the_same_conversations_in_every_form(tmp_path_factory: pytest.TempPathFactory, given_: Any) -> None:
    folder = tmp_path_factory.mktemp("forms", numbered=True)
    wanted = [(i, r, None, history_of(h)) for i, r, _, h in given_]
    pairs = [[*h, (i, r)] for i, r, _, h in given_]
    told = [[(m, role) for pair in h for m, role in zip(pair, ("user", "assistant"), strict=True)] for h in pairs]
    sharegpt = [[{"from": {"user": "human"}.get(r, "gpt"), "value": m} for m, r in turns] for turns in told]
    messages = [[{"role": r, "content": m} for m, r in turns] for turns in told]
    forms: dict[str, Rows | list[Any]] = {
        "messages": [{"messages": turns} for turns in messages],
        "parts": [{"messages": [t | {"content": [{"text": t["content"]}]} for t in turns]} for turns in messages],
        "lists": messages,
        "sharegpt": [{"conversations": turns} for turns in sharegpt],
        "alternating": [{"conversations": [m for m, _ in turns]} for turns in told],
        "pairs": [{"conversation": [list(pair) for pair in h]} for h in pairs],
        "exchanges": [{"conversation": [{"input": a, "output": b} for a, b in h]} for h in pairs],
        "struct of lists": [
            {"messages": {n: [t[n] for t in turns] for n in ("role", "content")}} for turns in messages
        ],
        "JSON text": [{"messages": json.dumps(turns)} for turns in messages],
        "Python text": [{"messages": repr(turns)} for turns in messages],
        "another name": [{"talk": turns} for turns in messages],
        "prompt and completion": [{"prompt": turns[:-1], "completion": turns[-1:]} for turns in messages],
        "preferences": [{"prompt": turns[:-1], "chosen": turns[-1:], "rejected": turns[:1]} for turns in messages],
        "whole preferences": [{"chosen": turns, "rejected": turns[:1]} for turns in messages],
    }
    for name, rows in forms.items():
        (folder / "a.jsonl").write_bytes(joined(rows, b"\n") + b'{"prompt": "last"}')
        records, malformed = read(folder / "a.jsonl")
        assert not malformed, name
        assert list(map(texts_of, records))[:-1] == wanted, name
