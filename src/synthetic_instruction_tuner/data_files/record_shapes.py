"""Turns a row of one of the usual shapes into a record."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns, kind_of, read_conversation
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import only_other_answer
from synthetic_instruction_tuner.data_files.row_shapes.public_sets import split_row, usual_row
from synthetic_instruction_tuner.data_files.row_shapes.thoughts import split_thoughts, with_thoughts
from synthetic_instruction_tuner.data_files.row_texts import (
    CONVERSATIONS,
    KNOWN,
    SYSTEMS,
    read_exchange,
    text_of,
    thinking_of,
)
from synthetic_instruction_tuner.records import Record

OWN = {*KNOWN, *SYSTEMS, "history", "id", "domain", "thinking", "provenance"}  # here NaN is null

__all__ = ["ShapeError", "record_from_row", "split_instances", "with_fields"]


def record_from_row(
    row: object, default_id: str, source: dict[str, Any], strict: bool = True, keep_thoughts: bool = False
) -> Record:
    """Returns the row's record.

    A row without a response becomes a record with an empty one. Fields that a record does not have are kept under
    ``provenance["fields"]``; so is a conversation whose turns hold more than role and content. Thoughts at the start
    of an answer's text are the record's ``thinking``, unless they are to stay in the response.

    Args:
        row: a parsed JSON object, a list of turns, or a row of a table.
        default_id: the id if the row has none.
        source: the provenance if the row has none.
        strict: whether a row of which nobody can say what its answer is, is refused; else it is left without one.
        keep_thoughts: whether thoughts before the answer stay in the response, or are put there in ``<think>`` marks.

    Raises:
        ShapeError: the row is of no known shape, a field has the wrong type, or a record cannot hold the row.
    """
    row = {CONVERSATIONS[0]: row} if are_turns(row) else row
    if not isinstance(row, dict | Mapping):
        names = " without names" if isinstance(row, list) else ""
        raise ShapeError(f"a row must be an object with fields, not {kind_of(row)}{names}")
    if any(type(value) is float and math.isnan(value) for value in row.values()):
        row = {name: None if name in OWN and value != value else value for name, value in row.items()}
    row = usual_row(row)
    if row.get("label") is False and "prompt" in row and "completion" in row:  # as in data sets for KTO
        raise ShapeError("'label' is false, so its completion is an example of a bad answer")
    row, used, exchange = _exchange(row, strict)
    system = next((name for name in SYSTEMS if text_of(row, name)), SYSTEMS[0])
    found, provenance, thinking = _id(row), _provenance(row), thinking_of(row)
    record = replace(
        exchange,
        id=found or default_id,
        system=text_of(row, system) or exchange.system,
        domain=text_of(row, "domain") or None,
        thinking=thinking or exchange.thinking,
        provenance=source if provenance is None else provenance,
    )
    own = {"id": found, "domain": record.domain, "thinking": thinking, "provenance": provenance}
    used |= {system, *(name for name, value in own.items() if value is not None)}
    used |= {name for name in CONVERSATIONS if row.get(name) is not None and _repeats(row[name], record)}
    record = with_fields(record, {name: v for name, v in row.items() if name not in used and v is not None})
    return _thoughts_within(record) if keep_thoughts else _without_thoughts(record, strict)


def _exchange(row: Mapping[str, Any], strict: bool) -> tuple[Mapping[str, Any], set[str], Record]:
    """What the row asks and answers; its answer may have an unusual name if no other field has one."""
    row, used, exchange = read_exchange(row)
    if not exchange.response.strip() and (name := only_other_answer(row, strict)):
        named = {key: value for key, value in row.items() if key != name} | {"response": row[name]}
        row, used, exchange = read_exchange(named)
    return row, used, exchange


def _without_thoughts(record: Record, strict: bool) -> Record:
    """The record with the thoughts in its answers' texts kept apart; turns as they were stay among the fields."""
    try:
        thoughts, answer = split_thoughts(record.response, record.instruction)
        earlier = record.history and tuple(
            replace(turn, content=split_thoughts(turn.content, field="an earlier answer")[1])
            if turn.role == "assistant"
            else turn
            for turn in record.history
        )
    except ShapeError:
        if strict:
            raise
        return record
    kept: dict[str, Any] = {}
    if earlier != record.history:
        kept["history"] = [turn.as_dict() for turn in record.history]
    if thoughts is not None and record.thinking and record.thinking != thoughts:
        kept["response"] = record.response
    if thoughts is None and not kept:
        return record
    found = replace(record, response=answer, history=earlier, thinking=record.thinking or thoughts or None)
    return with_fields(found, kept)


def _thoughts_within(record: Record) -> Record:
    """The record with the thoughts in its response: as its text has them, or those that stood beside it before it.

    Raises:
        ShapeError: the thoughts never end, or no answer follows them.
    """
    thoughts, _ = split_thoughts(record.response, record.instruction)
    if not record.thinking or not record.response.strip():
        return record
    if thoughts is not None:
        return record if record.thinking != thoughts else replace(record, thinking=None)
    return replace(record, response=with_thoughts(record.response, record.thinking), thinking=None)


def with_fields(record: Record, fields: Mapping[str, Any]) -> Record:
    """Returns the record with these fields, as JSON can hold them, under ``provenance["fields"]`` too."""
    if not fields:
        return record
    earlier = record.provenance.get("fields")
    together = (earlier if isinstance(earlier, dict) else {}) | _plain(fields)
    return replace(record, provenance=record.provenance | {"fields": together})


def split_instances(row: Any) -> list[Any]:
    """Returns the rows that a row holds: a tree of messages, or instances of a task; any other row alone."""
    if (rows := split_row(row)) is not None:
        return rows
    instances = row.get("instances") if isinstance(row, dict) and "instances" in row and "instruction" in row else None
    if not isinstance(instances, list) or not instances:
        return [row]
    rest = {name: value for name, value in row.items() if name != "instances"}
    if all(isinstance(one, Mapping) and "output" in one and not one.keys() & rest.keys() for one in instances):
        return [rest | dict(one) for one in instances]
    return [row]


def _repeats(value: object, record: Record) -> bool:
    """Whether a conversation beside a record's texts says the same, as in this package's own files."""
    try:
        told = read_conversation(value, "messages")
    except ShapeError:
        return False
    if told.more or told.thinking not in (None, record.thinking):
        return False
    return list(told.turns) == record.messages()


def _id(row: Mapping[str, Any]) -> str | None:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _provenance(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row's own provenance; Parquet files hold it as JSON text."""
    value = row.get("provenance")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, Any]", _plain(value)) if isinstance(value, dict) else None


def _plain(value: object) -> Any:
    """The value as JSON can hold it: dates and bytes as text, null for NaN."""
    text = json.dumps(value, default=str, ensure_ascii=False, skipkeys=True)
    return json.loads(text, parse_constant=lambda _: None)
