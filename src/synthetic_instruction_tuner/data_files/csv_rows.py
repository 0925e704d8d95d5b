"""Rows of CSV and TSV files by their header, with quotation marks and line breaks within cells as RFC 4180 has them.

An empty cell is null. A row that does not fit the header is reported: filled up or cut off, it would be a wrong row.
Lists and objects that the shapes of rows know are read from cells, as JSON or as Python writes them; other cells are
text, so that an answer that is JSON stays one.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import LISTS, are_compared
from synthetic_instruction_tuner.data_files.row_shapes.public_sets import MARKED, is_tree
from synthetic_instruction_tuner.data_files.row_texts import EXTRAS, SYSTEMS, TEXTS, field_of
from synthetic_instruction_tuner.errors import UserError

LONGEST_CELL = 10**9
DELIMITERS = (",", ";", "\t", "|")
SAID = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # how Excel is told the delimiter
OPTIONAL = {*EXTRAS, *SYSTEMS, "history"}  # where the words for null are no text
NULLS = {"nan", "null", "none", "<na>"}
PLAIN = {*TEXTS, *OPTIONAL, "text", "transcript", "inputs_pretokenized", "message_1"}  # always text
STRUCTURED = {*LISTS, *MARKED, "info", "instances", "Instances"} - PLAIN
BRACKETS = {"[": "]", "{": "}"}
TRUTHS = {"true": True, "false": False}
NOT_UTF8 = re.compile(r"[\udc80-\udcff]")


def csv_rows(file: Path, stream: io.BufferedReader, tabs: bool) -> Iterator[tuple[int, Any, str]]:
    """Yields number (the first row below the header is 1), row and its text.

    Args:
        file: the file's name, for messages.
        stream: its content, as UTF-8.
        tabs: whether columns are expected to be separated by tabs.

    Raises:
        UserError: two columns have the same name.
    """
    csv.field_size_limit(LONGEST_CELL)
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    first = next(text, "")
    if said := SAID.fullmatch(first):
        delimiter, first = said[1], next(text, "")
    else:
        delimiter = _delimiter(first, tabs)
    reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True)
    rows = _cells(reader)
    header = next(rows, [])
    if isinstance(header, ShapeError):
        raise UserError(f"No record could be read from {file}.", f"Its header is {header}.")
    names = [name.strip() or f"column_{number}" for number, name in enumerate(header, 1)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        cause = f"Columns have the same name: {', '.join(twice)}."
        raise UserError(f"No record could be read from {file}.", cause, "Give each column a name of its own.")
    first_row = next(rows, None)
    if header and not _are_known(names) and not _has_turns(first_row):
        cause = f"It looks like a table with the columns {', '.join(names[:8])}."[:300]
        if NOT_UTF8.search(first) or "\0" in first:
            cause = "It looks like binary data, or like text that is not UTF-8."
        fix = "Its first line must name the columns: instruction and response, question and answer, or messages."
        raise UserError(f"No record could be read from {file}.", cause, fix)
    for number, cells in enumerate(chain([first_row], rows) if first_row is not None else (), 1):
        said_text = str(cells) if isinstance(cells, ShapeError) else delimiter.join(cells)[:200]
        yield number, _row(names, cells), said_text


def _delimiter(header: str, tabs: bool) -> str:
    """The delimiter that finds the most names of a record's fields in the header; else the most names."""
    choices = ("\t", *DELIMITERS) if tabs else DELIMITERS
    found = {d: next(csv.reader([header], delimiter=d), []) for d in choices}
    return max(choices, key=lambda d: (sum(field_of(name) is not None for name in found[d]), len(found[d])))


def _cells(reader: Any) -> Iterator[list[str] | ShapeError]:
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                yield ShapeError(f"a quotation mark that is never closed, from line {start:,} to {reader.line_num:,}")
                return
            yield ShapeError(f"no row of CSV: {error} (line {reader.line_num:,} of the file)")
            continue
        if cells:
            yield cells


def _are_known(names: list[str]) -> bool:
    """Whether a header names a field of a record, or of a shape that some data sets have."""
    return any(map(field_of, names)) or are_compared(names) or not MARKED.isdisjoint(names)


def _has_turns(cells: list[str] | ShapeError | None) -> bool:
    """Whether a row has a conversation, whatever the name of its column."""
    return isinstance(cells, list) and any(are_turns(_parsed(cell)) for cell in cells)


def _row(names: list[str], cells: list[str] | ShapeError) -> dict[str, Any] | ShapeError:
    if isinstance(cells, ShapeError):
        return cells
    if len(cells) != len(names):
        return ShapeError(f"a row of {len(cells):,} cells below a header of {len(names):,}")
    if any(NOT_UTF8.search(cell) for cell in cells):
        return ShapeError("not UTF-8: save the table as 'CSV UTF-8'")
    row = {name: _value(name, cell) for name, cell in zip(names, cells, strict=True)}
    if not any(map(field_of, names)):  # turns, under any name
        row = {name: found if are_turns(found := _parsed(cell)) else cell for name, cell in row.items()}
    for name in _objects(row):
        row[name] = _parsed(row[name])
    return row


def _value(name: str, cell: str) -> Any:
    plain = name.lower()
    if not cell or (plain in OPTIONAL and cell.strip().lower() in NULLS):
        return None
    if name in STRUCTURED:
        return TRUTHS.get(cell.strip().lower(), _parsed(cell)) if name == "label" else _parsed(cell)
    if plain in TEXTS and cell.lstrip().startswith("[{"):  # messages, as pandas writes them
        return found if are_turns(found := _parsed(cell)) else cell
    return cell


def _objects(row: Mapping[str, Any]) -> list[str]:
    """The fields of texts that hold an object, because of what it has or of the fields beside them."""
    found = []
    if isinstance(row.get("label"), dict | list) and _begins(row.get("question")):  # PRM800K
        found.append("question")
    if isinstance(row.get("request"), dict) and _begins(row.get("response")):  # Gemini
        found.append("response")
    if _begins(row.get("prompt")) and is_tree({"prompt": _parsed(row["prompt"])}):  # OpenAssistant
        found.append("prompt")
    if _begins(row.get("question")) and isinstance(asked := _parsed(row["question"]), dict) and "full_text" in asked:
        found.append("question")  # WebGPT
    return found


def _begins(cell: Any) -> bool:
    return isinstance(cell, str) and cell.lstrip().startswith("{")


def _parsed(cell: Any) -> Any:
    """The list or object that a cell holds as JSON or as Python's literals; else the cell."""
    text = cell.strip() if isinstance(cell, str) else ""
    if text[:1] not in BRACKETS or not text.endswith(BRACKETS[text[:1]]):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return cell
