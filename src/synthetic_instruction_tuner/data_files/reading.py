"""Reads records from the user's files: JSON, JSON lines and Parquet, with rows of these shapes.

- ``instruction`` and ``response`` (or ``output``), with Alpaca's ``input`` or Dolly's ``context``; so are this
  package's own
- ``prompt`` and ``completion`` (or ``response``), as texts or as lists of messages
- ``question`` and ``answer``, ``query`` and ``response``, ``input`` and ``output``; with ``input`` beside the question
- ``messages``, ``conversations`` or ``conversation``: a list of ``role`` and ``content``, of ``from`` and ``value``, of
  ``input`` and ``output``, or of texts that alternate between user and assistant

A row of no such shape does not end the reading: it is collected with its file and number.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.record_shapes import RECORD_FIELDS, ShapeError, record_from_row, with_fields
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Record

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
SAID = 5  # malformed lines whose places are shown
PACKED = ".gz"  # JSON and JSON lines may be gzipped
# where an object holds its rows
LISTS = ("data", "train", "validation", "test", "instances", "examples", "rows", "records", "items")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line or row that is not a record.

    Attributes:
        file: the file's name.
        number: its line (JSON lines) or row, counted from 1.
        problem: what is wrong with it.
        text: its start.
    """

    file: str
    number: int
    problem: str
    text: str

    @property
    def place(self) -> str:
        """The file and the line, as editors and compilers write them."""
        return f"{self.file}:{self.number}"

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


def said_malformed(count: int, first: Sequence[str]) -> str:
    """Returns a sentence about the lines that are not records, with the locations of the first ones."""
    more = " and more" if count > len(first) else ""
    return f"Input lines that are not records: {count:,} ({', '.join(first)}{more})."


def read_records(files: Sequence[Path], malformed: list[Malformed]) -> Iterator[Record]:
    """Yields the files' records in order, with ids that are unique over all files.

    A record keeps its own id if it is unused; otherwise its id is its file's name and number, and the original id is
    kept under ``provenance["fields"]``.

    Args:
        files: JSON, JSON lines or Parquet files, recognized by their suffix.
        malformed: receives the rows that are not records, which are skipped.

    Raises:
        UserError: a file does not exist, cannot be read, or is not what its suffix says.
    """
    taken: set[str] = set()
    for file in map(Path, files):
        stem = Path(file.stem).stem if file.suffix.lower() == PACKED else file.stem
        for number, row, text in read_rows(file):
            try:
                if isinstance(row, ShapeError):
                    raise row
                record = record_from_row(row, f"{stem}-{number:06d}", {"file": file.name, "number": number})
            except ShapeError as error:
                malformed.append(Malformed(file.name, number, str(error), text[:200]))
                continue
            record = _with_free_id(record, f"{stem}-{number:06d}", taken)
            taken.add(record.id)
            yield record


def _with_free_id(record: Record, fallback: str, taken: set[str]) -> Record:
    choices, own = [record.id, fallback], record.id != fallback
    while choices[0] in taken:
        choices = choices[1:] or [fallback + "x"]
        fallback = choices[0]
    if choices[0] == record.id:
        return record
    return replace(with_fields(record, {"id": record.id} if own else {}), id=choices[0])


def read_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    """Yields number, row (or what is wrong with it) and the row's text.

    Raises:
        UserError: the file does not exist, cannot be read, or is not what its suffix says.
    """
    packed = file.suffix.lower() == PACKED
    suffix = (Path(file.stem) if packed else file).suffix.lower()
    if suffix not in SUFFIXES or (packed and suffix == ".parquet"):
        raise UserError(f"{file} is not a file of records.", f"Its name must end in {', '.join(SUFFIXES)}.")
    try:
        if suffix == ".parquet":
            yield from _parquet_rows(file)
            return
        with gzip.open(file) if packed else file.open("rb") as stream:
            if suffix == ".json":
                yield from _json_rows(file, stream.read())
            else:
                yield from _json_lines(stream)
    except EOFError as error:
        raise UserError(f"The file {file} is truncated.", str(error), "Copy or download it again.") from None
    except zlib.error as error:
        raise UserError(f"The file {file} is damaged.", str(error), "Copy or download it again.") from None
    except OSError as error:
        raise UserError(f"The file {file} cannot be read.", str(error.strerror or error)) from None


def _json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Any, str]]:
    for number, raw in enumerate(lines, 1):
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if line.strip():
            yield number, _parse(line), line[:800].decode("utf-8", "replace").strip()


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=lambda _: None)  # NaN and infinities are not valid JSON
    except UnicodeDecodeError as error:
        return ShapeError(f"not UTF-8 (byte {error.start})")
    except RecursionError:
        return ShapeError("nested too deeply")
    except ValueError as error:
        return ShapeError(f"not JSON: {error}")


def _json_rows(file: Path, data: bytes) -> Iterator[tuple[int, Any, str]]:
    """One JSON list, or an object that contains one or columns of one; else JSON lines, which many name .json."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    whole = _parse(data)
    rows = _listed(whole) if isinstance(whole, dict) else whole
    if isinstance(rows, list):
        for number, row in enumerate(rows, 1):
            yield number, row, json.dumps(row, ensure_ascii=False)[:200]
    elif isinstance(whole, ShapeError) and not data.lstrip().startswith(b"{"):
        if data.strip():
            fix = "Repair it, or rename it to .jsonl if each line is a record."
            raise UserError(f"The file {file} is not valid JSON.", str(whole), fix)
    elif isinstance(whole, ShapeError):
        yield from _json_lines(data.split(b"\n"))
    else:
        yield 1, whole, json.dumps(whole, ensure_ascii=False)[:200]


def _listed(whole: dict[str, Any]) -> Any:
    """The rows in an object: under usual names, or as columns of equal length; else the object itself.

    If one list has a usual name, all other lists of objects are rows too, in the object's order.
    """
    lists = {name: value for name, value in whole.items() if isinstance(value, list)}
    if any(name in lists for name in LISTS) and not any(field in whole for field in RECORD_FIELDS):
        rows = (v for name, v in lists.items() if name in LISTS or any(isinstance(row, dict) for row in v))
        return list(chain.from_iterable(rows))
    columns = list(whole.values())
    texts = columns and all(isinstance(c, list) and c and all(isinstance(v, str | None) for v in c) for c in columns)
    if texts and len({len(column) for column in columns}) == 1 and len(columns) > 1:
        return [dict(zip(whole, values, strict=True)) for values in zip(*columns, strict=True)]
    return whole


def _parquet_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            number = 0
            for batch in table.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, str(row)[:200]
    except pa.ArrowException as error:
        raise UserError(f"The file {file} is not valid Parquet.", " ".join(str(error).split())[:200]) from None


def count_rows(files: Sequence[Path]) -> int:
    """Returns roughly how many rows the files have, for progress; 0 if only reading them would tell."""
    counts = [_count(Path(file)) for file in files]
    return sum(counts) if all(counts) else 0


def _count(file: Path) -> int:
    try:
        if file.suffix.lower() == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                return int(pq.read_metadata(file).num_rows)
            except pa.ArrowException:
                return 0
        if file.suffix.lower() in (".json", PACKED):
            return 0
        with file.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError:  # reading it reports the error
        return 0
