"""Reads records from the user's files and from data sets of the Hub.

Files are JSON, JSON lines, CSV, TSV and Parquet. What a document of JSON may look like, `json_documents` says; what a
row may look like, `row_texts` and `conversations`.

A row of no such shape does not end the reading: it is collected with its file and number. A file without any record is
the user's mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from synthetic_instruction_tuner.data_files.csv_rows import csv_rows
from synthetic_instruction_tuner.data_files.hub_rows import address_fault, hub_rows, hub_stem, is_hub_name
from synthetic_instruction_tuner.data_files.json_rows import json_rows
from synthetic_instruction_tuner.data_files.record_shapes import (
    ShapeError,
    record_from_row,
    split_instances,
    with_fields,
)
from synthetic_instruction_tuner.data_files.row_shapes.message_rows import is_message, trees
from synthetic_instruction_tuner.data_files.text_streams import PACKED, require_text, utf8_stream
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Record

T = TypeVar("T")
Convert = Callable[[Any, str, dict[str, Any]], T]
Rows = Callable[[Path], Iterator[tuple[int, Any, str]]]

TABLES = (".csv", ".tsv")
SUFFIXES = (".jsonl", ".ndjson", ".json", *TABLES, ".parquet")
SAID = 5  # malformed lines whose places are shown
READ = (
    "A row is read if it has instruction and response, prompt and completion, question and answer, chosen and "
    "rejected, or messages. All shapes are in docs/data.md, 'Filter your own files'."
)


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


@dataclass
class Tally:
    """What one file has given so far, for the error if that is nothing.

    Attributes:
        file: the file.
        records: its records.
        malformed: its rows that are not records.
        problem: what is wrong with the first of them.
    """

    file: Path
    records: int = 0
    malformed: int = 0
    problem: str = ""

    def add(self, problem: str = "") -> None:
        """Counts a record; or, with what is wrong with it, a row that is none."""
        self.records += not problem
        self.malformed += bool(problem)
        self.problem = self.problem or problem

    def require_records(self, expected: str = READ) -> None:
        """Raises UserError if the file has rows, and none of them is a record."""
        if self.malformed and not self.records:
            kinds = (("not JSON", "text that is not JSON"), ("not UTF-8", "binary data or another encoding"))
            what = next((name for start, name in kinds if self.problem.startswith(start)), "another shape")
            first = f"; the first of {self.malformed:,} rows" if self.malformed > 1 else ""
            cause = f"It looks like {what}{first}: {self.problem.removeprefix('not JSON: ')}."
            raise UserError(f"No record could be read from {self.file}.", cause, expected)


def said_malformed(count: int, first: Sequence[str]) -> str:
    """Returns a sentence about the lines that are not records, with the locations of the first ones."""
    more = " and more" if count > len(first) else ""
    return f"Input lines that are not records: {count:,} ({', '.join(first)}{more})."


def read_records(files: Sequence[Path], malformed: list[Malformed], keep_thoughts: bool = False) -> Iterator[Record]:
    """Yields the files' records in order, with ids that are unique over all files.

    A record keeps its own id if it is unused; otherwise its id is its file's name and number, and the original id is
    kept under ``provenance["fields"]``.

    Args:
        files: JSON, JSON lines, CSV, TSV or Parquet files, recognized by their suffix; or data sets of the Hub, as
            ``hf:NAME`` or ``hf:NAME:SPLIT``.
        malformed: receives the rows that are not records, which are skipped.
        keep_thoughts: whether thoughts before an answer stay in the response.

    Raises:
        UserError: a file does not exist, cannot be read, is not what its suffix says, or has rows but no record.
    """
    taken: set[str] = set()
    convert = partial(record_from_row, keep_thoughts=keep_thoughts)
    for file in map(Path, files):
        for number, record in read_as(file, convert, malformed):
            yield with_free_id(record, fallback_id(file, number), taken)


def read_as(
    file: Path, convert: Convert[T], malformed: list[Malformed], rows: Rows | None = None, expected: str = READ
) -> Iterator[tuple[int, T]]:
    """Yields what a file's rows are, each with its number; rows that are not that are collected.

    Args:
        file: a file, or a data set of the Hub.
        convert: makes it of a row, an id for rows without one, and the row's place; raises ShapeError.
        malformed: receives the rows that `convert` refuses.
        rows: reads the file's rows, if not `read_rows`.
        expected: what a row must have, for the error if no row has it.

    Raises:
        UserError: see `read_records`.
    """
    name, tally = file_name(file), Tally(file)
    for number, row, text in (rows or read_rows)(file):
        try:
            if isinstance(row, ShapeError):
                raise row
            found = convert(row, fallback_id(file, number), {"file": name, "number": number})
        except ShapeError as error:
            malformed.append(Malformed(name, number, str(error), text[:200]))
            tally.add(str(error))
            continue
        tally.add()
        yield number, found
    tally.require_records(expected)


def no_rows(files: Sequence[Path], expected: str = READ) -> UserError:
    """Returns the error for files that are empty; `read_records` itself reads nothing from them."""
    names = ", ".join(map(str, files))
    return UserError(
        f"No record could be read from {names}.", "It looks like an empty file, without any row.", expected
    )


def file_name(file: Path) -> str:
    """Returns a file's name without its folder, or the name of a data set."""
    return str(file) if is_hub_name(file) else file.name


def file_stem(file: Path) -> str:
    """Returns what the ids of a file's records begin with."""
    if is_hub_name(file):
        return hub_stem(str(file))
    return Path(file.stem).stem if file.suffix.lower() == PACKED else file.stem


def fallback_id(file: Path, number: int) -> str:
    """Returns the id of a row that has none of its own, or one that is taken."""
    return f"{file_stem(file)}-{number:06d}"


def with_free_id(record: Record, fallback: str, taken: set[str]) -> Record:
    """Returns the record with an id that is not taken, and takes it; its own id is then kept among its fields."""
    record = _with_free_id(record, fallback, taken)
    taken.add(record.id)
    return record


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
    messages: list[tuple[int, Any, str]] = []
    for number, row, text in _stored_rows(file):
        if is_message(row):  # the other messages of its tree may stand anywhere in the file
            messages.append((number, row, text))
            continue
        for part in split_instances(row):
            yield number, part, text
    for number, tree, text in trees(messages):
        for part in split_instances(tree):
            yield number, part, text


def _stored_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    if is_hub_name(file):
        yield from hub_rows(str(file))
        return
    if (remote := address_fault(file)) is not None:
        raise remote
    packed = file.suffix.lower() == PACKED
    suffix = (Path(file.stem) if packed else file).suffix.lower()
    if suffix not in SUFFIXES or (packed and suffix == ".parquet"):
        raise UserError(f"{file} is not a file of records.", f"Its name must end in {', '.join(SUFFIXES)}.")
    if suffix == ".parquet":
        yield from _parquet_rows(file)
        return
    with utf8_stream(file) as stream:
        if suffix in TABLES:
            yield from csv_rows(file, stream, tabs=suffix == ".tsv")
        else:
            yield from json_rows(file, stream)


def _parquet_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open("rb") as stream:
            if (head := stream.read(64))[:4] != b"PAR1":
                require_text(file, head)
        with pq.ParquetFile(file) as table:
            if twice := sorted({name for name in table.schema_arrow.names if table.schema_arrow.names.count(name) > 1}):
                cause = f"Columns have the same name: {', '.join(twice)}."
                raise UserError(f"No record could be read from {file}.", cause, "Give each column a name of its own.")
            number = 0
            for batch in table.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, str(row)[:200]
    except pa.ArrowException as error:
        raise UserError(f"The file {file} is not valid Parquet.", " ".join(str(error).split())[:200]) from None
    except OSError as error:
        raise UserError(f"The file {file} cannot be read.", str(error.strerror or error)) from None


def count_rows(files: Sequence[Path]) -> int:
    """Returns roughly how many rows the files have, for progress; 0 if only reading them would tell."""
    counts = [0 if is_hub_name(file) else _count(Path(file)) for file in map(Path, files)]
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
        if file.suffix.lower() in (".json", *TABLES, PACKED):
            return 0
        with file.open("rb") as stream:
            return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError:  # reading it reports the error
        return 0
