"""The rows in one JSON document: a list, columns, pandas' orientations, or objects by their ids.

A shape is checked before it is believed. Columns that do not fit together, or turns of which nobody can say where a
conversation ends, are no rows: a `ShapeError` stands in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_exchanges, are_turns, is_turn
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import are_compared
from synthetic_instruction_tuner.data_files.row_shapes.public_sets import is_one_row
from synthetic_instruction_tuner.data_files.row_texts import CONVERSATIONS, RECORD_FIELDS, field_of

# where an object holds its rows
LISTS = ("data", "train", "validation", "test", "instances", "examples", "rows", "records", "items")
TYPES = {"type", "dtype", "_type", "$ref", "anyOf"}  # keys of an object that describes a field, in a schema
SPLIT = {"columns", "index", "data", "index_names", "column_names"}  # keys of pandas' split and tight orientations
DEEPEST = 3  # objects around the rows


def document_rows(document: Any) -> list[Any]:
    """Returns the document's rows; or the document itself if it holds none."""
    return _rows(document, DEEPEST)


def rows_of_list(value: Any) -> list[Any]:
    """Returns the rows if a value is a list of rows; else the value is the only row."""
    if isinstance(value, list) and value and not are_turns(value) and all(isinstance(v, Mapping) for v in value):
        return value
    return [value]


def _rows(value: Any, depth: int) -> list[Any]:
    if isinstance(value, list):
        return _rows_of_document_list(value)
    if not isinstance(value, dict):
        return [value]
    if is_one_row(value) or _is_comparison(value):
        return [value]
    if (shown := _viewer_rows(value)) is not None:
        return shown
    if _is_split(value):
        return _labeled([dict(zip(value["columns"], row, strict=True)) for row in value["data"]], value.get("index"))
    if any(name in value for name in RECORD_FIELDS):
        return _columns(value)
    if any(isinstance(value.get(name), list) and not are_turns(value[name]) for name in LISTS):
        return _named_lists(value, depth)
    if any(map(field_of, value)):
        return _columns(value)
    return _keyed(value) or (_inner(value, depth - 1) if depth else []) or _equal_lists(value) or [value]


def _is_comparison(value: dict[str, Any]) -> bool:
    """Whether it is one row with two answers and the winner; not columns of such rows."""
    sides = [v for name, v in value.items() if are_compared((name, *value)) and str(name).startswith("conversation_")]
    return bool(sides) and all(map(are_turns, sides))


def _viewer_rows(value: dict[str, Any]) -> list[Any] | None:
    """The rows that the Hub's data set viewer answers with; those of which it has cut off cells cannot be used."""
    rows = value.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) and "row_idx" in r for r in rows):
        return None
    return [
        ShapeError(f"the viewer has cut off {', '.join(map(str, cut))}; download the data set's files instead")
        if (cut := row.get("truncated_cells"))
        else row.get("row")
        for row in rows
    ]


def _named_lists(value: dict[str, Any], depth: int) -> list[Any]:
    """The rows of all lists with a usual name, and of other lists of objects, in the object's order."""
    rows: list[Any] = []
    for name, inner in value.items():
        if isinstance(inner, list) and (name in LISTS or any(isinstance(row, dict) for row in inner)):
            rows += _rows_of_document_list(inner)
        elif isinstance(inner, dict) and name in LISTS and depth:
            rows += _inner({name: inner}, depth - 1)
    return rows


def _rows_of_document_list(rows: list[Any]) -> list[Any]:
    if are_turns(rows):
        asked = sum(str(turn.get("role") or turn.get("from")).lower() in ("user", "human") for turn in rows)
        if asked > 1:
            problem = "turns without a list for each conversation, so that nobody can say where one ends"
            return [ShapeError(problem)]
        return [rows]
    if len(rows) > 1 and all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        names = rows[0]
        if all(isinstance(name, str) for name in names) and _names_a_record(names):  # a table with a header
            return [dict(zip(names, row, strict=True)) for row in rows[1:]]
    if rows and all(isinstance(row, list) and row and _are_rows(row) and not are_exchanges(row) for row in rows):
        return list(chain.from_iterable(rows))  # rows in portions
    return rows


def _names_a_record(names: list[str]) -> bool:
    """Whether it is a header: a conversation, or two texts of a record, among names that are all different."""
    fields = {field_of(name) for name in names} - {None}
    return len(set(names)) == len(names) and (len(fields) > 1 or any(name in CONVERSATIONS for name in fields))


def _is_split(value: dict[str, Any]) -> bool:
    """Whether it is pandas' ``split`` or ``tight``: names, and lists of as many values."""
    names, rows = value.get("columns"), value.get("data")
    return (
        value.keys() <= SPLIT
        and isinstance(names, list)
        and isinstance(rows, list)
        and all(isinstance(name, str) for name in names)
        and all(isinstance(row, list) and len(row) == len(names) for row in rows)
    )


def _columns(value: dict[str, Any]) -> list[Any]:
    """The rows of columns: lists of equal length, or objects with equal labels; else the object is a row."""
    fields = {name: column for name, column in value.items() if field_of(name) and column is not None}
    if fields and all(isinstance(column, list) for column in fields.values()):
        if any(column and all(type(one) is int for one in column) for column in fields.values()):
            return [value]  # token ids of one text
        if not all(_is_conversation(name, column, value) for name, column in fields.items()):
            return _rows_of_lists(value)
    elif fields and all(_is_labeled(column) for column in fields.values()) and _every_column_is_labeled(value):
        return _rows_of_labels(value)
    return [value]


def _is_conversation(name: str, column: list[Any], row: Mapping[str, Any]) -> bool:
    """Whether a list is one conversation, or part of one, in a row; not a column."""
    if are_turns(column) or (column and isinstance(column[0], Mapping) and not is_turn(column[0])):
        return True
    if field_of(name) not in CONVERSATIONS:
        return False
    beside = [v for key, v in row.items() if key != name and isinstance(v, list) and len(v) == len(column)]
    return not beside and all(isinstance(turn, str) and not turn.lstrip().startswith("[") for turn in column)


def _rows_of_lists(value: dict[str, Any]) -> list[Any]:
    """Rows of columns as lists. What is no list belongs to every row."""
    columns = {name: column for name, column in value.items() if isinstance(column, list)}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        said = ", ".join(f"{name} {len(column):,}" for name, column in list(columns.items())[:8])
        return [ShapeError(f"columns of unequal length ({said})")]
    names = list(value)
    same = lengths.pop()
    parts = [value[name] if name in columns else [value[name]] * same for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]


def _is_labeled(column: Any) -> bool:
    """Whether it is a column of pandas' ``columns`` orientation: values by labels, not a type or the parts of turns."""
    if not isinstance(column, Mapping) or not TYPES.isdisjoint(column):
        return False
    return not ({"role", "content"} <= column.keys() or "value" in column)


def _every_column_is_labeled(value: dict[str, Any]) -> bool:
    """Whether all columns are objects, as pandas writes them; values for every row may stand beside numbered ones."""
    columns = [column for column in value.values() if isinstance(column, Mapping)]
    return len(columns) == len(value) or all(_only_counts(column) for column in columns)


def _rows_of_labels(value: dict[str, Any]) -> list[Any]:
    columns = {name: column for name, column in value.items() if isinstance(column, Mapping)}
    labels = list(next(iter(columns.values())))
    if any(column.keys() != set(labels) for column in columns.values()):
        return [ShapeError("columns whose rows have different labels")]
    rows = [{n: columns[n][label] if n in columns else v for n, v in value.items()} for label in labels]
    return _labeled(rows, labels)


def _labeled(rows: list[Any], labels: Any) -> list[Any]:
    """The rows with their labels as ids, unless the labels only count."""
    if not isinstance(labels, list) or len(labels) != len(rows) or _only_counts(labels):
        return rows
    return [_with_label(row, label) for row, label in zip(rows, labels, strict=True)]


def _only_counts(labels: Iterable[Any]) -> bool:
    return all(str(label) == str(number) for number, label in enumerate(labels))


def _with_label(row: Any, label: Any) -> Any:
    """The row with a label as its id; as its ``key`` if it has another id. Turns become the row's messages."""
    row = {"messages": row} if isinstance(row, list) else row
    if not isinstance(row, Mapping) or str(row.get("id")) == str(label):
        return row
    free = next((name for name in ("id", "key") if row.get(name) is None), "label")
    return {**row, free: label} if row.get(free) is None else row


def _looks_like_row(value: Any) -> bool:
    return are_turns(value) or (isinstance(value, Mapping) and any(map(field_of, value)))


def _are_rows(values: list[Any]) -> bool:
    return all(isinstance(value, Mapping) and any(map(field_of, value)) for value in values)


def _keyed(value: dict[str, Any]) -> list[Any]:
    """Rows by their ids, as in pandas' ``index`` orientation; none if the object holds none, or one beside its facts.

    Objects among them that are no rows are reported as rows.
    """
    rows = {key: inner for key, inner in value.items() if isinstance(inner, dict | list)}
    found = sum(map(_is_one_row, rows.values()))
    if not found or (found == 1 and len(rows) < len(value)):
        return []
    return _labeled(list(rows.values()), list(rows))


def _is_one_row(value: Any) -> bool:
    """Whether it is a row, and not columns of rows."""
    return are_turns(value) or (isinstance(value, dict) and _looks_like_row(value) and _columns(value)[0:1] == [value])


def _inner(value: dict[str, Any], depth: int) -> list[Any]:
    """The rows in the objects and lists of an object, such as the columns of each split."""
    inside = [inner for inner in value.values() if isinstance(inner, dict | list) and not _is_one_row(inner)]
    found = [_rows(inner, depth) for inner in inside]
    return [row for rows in found if any(isinstance(r, ShapeError) or _looks_like_row(r) for r in rows) for row in rows]


def _equal_lists(value: dict[str, Any]) -> list[Any]:
    """Columns without a field that a record has: as rows, so that each is reported."""
    lists = [column for column in value.values() if isinstance(column, list) and column]
    if len(lists) < max(2, len(value)) or len({len(column) for column in lists}) > 1:
        return []
    return [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)]
