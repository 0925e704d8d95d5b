"""Exports for trainers: ``datasets.load_dataset`` reads the data files, and TRL trains on them as they are.

Records get a column ``messages``; pairs get ``prompt``, ``chosen`` and ``rejected`` as lists of messages, the
conversational forms of TRL's SFT and DPO trainers. Rows pass through one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.atomic_writing import Row, write_json
from synthetic_instruction_tuner.data_files.parquet import write_parquet
from synthetic_instruction_tuner.records import PreferencePair, Record, read_messages

MOVED = ("instruction", "system", "history", "chosen", "rejected")  # fields of a pair that its messages contain


def export_rows(rows: Iterable[Row], path: Path) -> int:
    """Writes rows as JSON to the path and as Parquet beside it, each atomically; returns their number.

    Rows that have the fields of a record or of a preference pair are written in the form that trainers expect.
    """
    count = write_json(path, (trainer_row(row) for row in rows))
    write_parquet(path.with_suffix(".parquet"), _written(path))
    return count


def trainer_row(row: Row) -> dict[str, Any]:
    """Returns the row as it is written to a data file."""
    plain = dict(row) if isinstance(row, Mapping) else row.to_json()
    if "chosen" in plain and "rejected" in plain:
        return _pair_row(plain)
    return _record_row(plain) if "instruction" in plain and "response" in plain else plain


def _record_row(row: dict[str, Any]) -> dict[str, Any]:
    record = Record(
        id="",
        instruction=row["instruction"],
        response=row["response"],
        system=row.get("system"),
        history=read_messages(row.get("history") or ()),
    )
    return row | {"messages": [m.as_dict() for m in record.messages()]}


def _pair_row(row: dict[str, Any]) -> dict[str, Any]:
    pair = PreferencePair.from_json(row)
    turns = {
        "prompt": [m.as_dict() for m in pair.prompt_messages()],
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }
    facts = {name: value for name, value in row.items() if name not in MOVED}
    return {"id": facts.pop("id"), "record_id": facts.pop("record_id")} | turns | facts


def _written(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a file that `write_json` wrote: a row per line between the brackets."""
    with path.open("rb") as stream:
        for line in stream:
            text = line.strip().removesuffix(b",")
            if text not in (b"[", b"]", b"[]"):
                yield json.loads(text)
