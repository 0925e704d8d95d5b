"""Rows of JSON files: a value per line, values one after the other, or one document, whatever the file's name says.

Lines are streamed. A document, and values that extend over several lines, are read whole.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.json_documents import document_rows, rows_of_list
from synthetic_instruction_tuner.errors import UserError

BETWEEN = re.compile(r"[\s,\x1e]*")  # what may stand between two values
NEXT = re.compile(r"[\r\n][\[{]")  # where the next value begins after a broken one
Row = tuple[int, Any, str]  # number, value or what is wrong with it, the start of its text


def json_rows(file: Path, stream: io.BufferedReader) -> Iterator[Row]:
    """Yields the rows, with the number of the line where each line is a value, else of the row.

    Raises:
        UserError: it is a list, and not valid JSON.
    """
    lines = _lines(stream)
    start = [line for line in (next(lines, None), next(lines, None)) if line]
    if not start:
        return
    first = _parse(start[0][1])
    if len(start) == 1 and not isinstance(first, ShapeError):
        yield from _rows_of_values(first, "", iter(()))
        return
    going_on = isinstance(first, ShapeError) and _is_open(start[0][1])
    begins = start[0][1].lstrip()[:1]
    if isinstance(first, ShapeError) and not going_on and _is_document(file) and begins != b"{":
        raise _invalid(file, first)
    if len(start) == 2 and not going_on:
        yield from _line_rows(chain(start, lines))
        return
    whole = [*start, *lines]
    try:
        text = b"".join(line for _, line in whole).decode("utf-8")
    except UnicodeDecodeError:
        yield from _line_rows(whole)
        return
    values = _values(text)
    value, part = next(values)
    if not isinstance(value, ShapeError):
        yield from _rows_of_values(value, part, values)
    elif text.lstrip().startswith("["):
        raise _invalid(file, value)
    else:
        yield from _line_rows(whole)


def _is_document(file: Path) -> bool:
    """Whether a file's name says that it is one document of JSON."""
    return ".json" in (suffix.lower() for suffix in file.suffixes[-2:])


def _invalid(file: Path, problem: ShapeError) -> UserError:
    fix = "Repair it, or write one record per line."
    return UserError(f"The file {file} is not valid JSON.", str(problem), fix)


def _rows_of_values(first: Any, text: str, others: Iterator[tuple[Any, str]]) -> Iterator[Row]:
    """The rows of one document; or the values one after the other, of which lists are lists of rows."""
    second = next(others, None)
    if second is None:
        for number, row in enumerate(document_rows(first), 1):
            yield number, row, _start(row)
        return
    number = 0
    for value, part in chain([(first, text), second], others):
        for row in rows_of_list(value) if value != [] else ():
            number += 1
            yield number, row, part[:200] if row is value else _start(row)


def _start(row: Any) -> str:
    return str(row) if isinstance(row, ShapeError) else json.dumps(row, ensure_ascii=False)[:200]


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1; they may end with CR alone, as those of old Macs."""
    head = stream.peek(1)
    lines: Iterable[bytes] = _ended_by_cr(stream) if b"\r" in head and b"\n" not in head else stream
    for number, line in enumerate(lines, 1):
        if line.strip(b" \t\r\n\x0b\x0c\x1e"):
            yield number, line


def _ended_by_cr(stream: io.BufferedReader) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(b"\r")
        yield from (line + b"\n" for line in whole)
    yield rest


def _line_rows(lines: Iterable[tuple[int, bytes]]) -> Iterator[Row]:
    for number, line in lines:
        value, text = _parse(line), line[:800].decode("utf-8", "replace").strip()
        for row in rows_of_list(value):
            yield number, row, text if row is value else _start(row)


def _parse(data: bytes) -> Any:
    """The value of a line; NaN and infinities, which are not valid JSON, are null."""
    try:
        return json.loads(data.decode("utf-8").strip("\x1e"), parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        return ShapeError(f"not UTF-8 (byte {error.start})")
    except RecursionError:
        return ShapeError("nested too deeply")
    except ValueError as error:
        return ShapeError(f"not JSON: {error}")


def _is_open(line: bytes) -> bool:
    """Whether a line is no value because it goes on in the next line, or because it holds several."""
    try:
        text = line.decode("utf-8").rstrip()
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Extra data") or error.pos >= len(text)
    except (ValueError, RecursionError):
        pass
    return False


def _values(text: str) -> Iterator[tuple[Any, str]]:
    """The values that stand one after the other, with their texts; after a broken one, the next that begins a line."""
    decoder = json.JSONDecoder(parse_constant=lambda _: None)
    place = _skip(text, 0)
    while place < len(text):
        try:
            value, end = decoder.raw_decode(text, place)
            yield value, text[place : min(end, place + 200)]
        except (ValueError, RecursionError) as error:
            problem = f"not JSON: {error}" if isinstance(error, ValueError) else "nested too deeply"
            at = NEXT.search(text, place)
            end = at.start() if at else len(text)
            yield ShapeError(problem), text[place : min(end, place + 200)]
        place = _skip(text, end)


def _skip(text: str, place: int) -> int:
    found = BETWEEN.match(text, place)
    return found.end() if found else place
