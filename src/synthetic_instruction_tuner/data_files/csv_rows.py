"""Rows of CSV and TSV files by their header, with quotation marks and line breaks within cells as RFC 4180 has them.

An empty cell is null. A row that does not fit the header is reported: filled up or cut off, it would be a wrong row.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import are_compared
from synthetic_instruction_tuner.data_files.row_texts import EXTRAS, SYSTEMS, TEXTS, field_of
from synthetic_instruction_tuner.errors import UserError

LONGEST_CELL = 10**9
DELIMITERS = (",", ";", "\t", "|")
SAID = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # how Excel is told the delimiter
OPTIONAL = {*EXTRAS, *SYSTEMS, "history"}  # where the words for null are no text
NULLS = {"nan", "null", "none", "<na>"}
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
    if header and not any(map(field_of, names)) and not are_compared(names):
        cause = f"It looks like a table with the columns {', '.join(names[:8])}."[:300]
        fix = "Its first line must name the columns: instruction and response, question and answer, or messages."
        raise UserError(f"No record could be read from {file}.", cause, fix)
    for number, cells in enumerate(rows, 1):
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


def _row(names: list[str], cells: list[str] | ShapeError) -> dict[str, Any] | ShapeError:
    if isinstance(cells, ShapeError):
        return cells
    if len(cells) != len(names):
        return ShapeError(f"a row of {len(cells):,} cells below a header of {len(names):,}")
    if any(NOT_UTF8.search(cell) for cell in cells):
        return ShapeError("not UTF-8: save the table as 'CSV UTF-8'")
    return {name: _value(name, cell) for name, cell in zip(names, cells, strict=True)}


def _value(name: str, cell: str) -> Any:
    plain = name.lower()
    if not cell or (plain in OPTIONAL and cell.strip().lower() in NULLS):
        return None
    if plain in TEXTS and cell.lstrip().startswith("[{"):  # messages, as pandas writes them
        return _messages(cell)
    return cell


def _messages(cell: str) -> Any:
    """The messages that a cell holds as JSON or as Python's literals; else its text."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return value if are_turns(value) else cell
    return cell
