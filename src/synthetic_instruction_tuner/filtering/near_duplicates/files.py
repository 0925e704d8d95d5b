"""Removes near duplicates from files, without a run: what ``sit dedup mine.jsonl -o out/`` does.

Rows are streamed: only the word sets of kept rows, and where those rows are, are held in memory.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file, json_bytes, write_text
from synthetic_instruction_tuner.data_files.own_data.output_folder import OutputFolder
from synthetic_instruction_tuner.data_files.reading import (
    SAID,
    Malformed,
    Tally,
    file_stem,
    no_rows,
    read_rows,
    said_malformed,
)
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError, record_from_row
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.near_duplicates.keep_first import KeepFirst
from synthetic_instruction_tuner.filtering.near_duplicates.nearest_neighbors import nearest_columns, nearest_sets
from synthetic_instruction_tuner.filtering.near_duplicates.rule import (
    Field,
    NearDuplicates,
    compared_text,
    exact_fraction,
)
from synthetic_instruction_tuner.filtering.rule import Verdict

REPORT = "dedup_report.json"  # written last: where it exists, the output is complete
BATCH = 4096  # rows compared at once
NO_WORDS = "length"  # the rule that drops texts without a word


@dataclass
class DedupReport:
    """What was removed.

    Attributes:
        records: rows that are records; those of `against` are not counted.
        kept: those written to kept.jsonl.
        duplicates: near duplicates of an earlier kept record.
        against_duplicates: those among them whose most similar record is in a file of `against`.
        without_words: records without a word to compare.
        malformed: rows in all files that are not records.
        malformed_first: where the first of them are, ``file:line``.
        against_records: records in the files of `against`.
        threshold: the similarity at which a record is dropped.
        field: what was compared.
    """

    threshold: float
    field: Field
    records: int = 0
    kept: int = 0
    duplicates: int = 0
    against_duplicates: int = 0
    without_words: int = 0
    malformed: int = 0
    malformed_first: list[str] = dataclass_field(default_factory=list)
    against_records: int = 0
    kind: str = "dedup_report"

    def to_json(self) -> str:
        """Returns the report as indented JSON; the same files and settings always give the same text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def summary(self) -> str:
        """Returns the counts in a few sentences."""
        share = f" ({self.kept / self.records:.1%})" if self.records else ""
        lines = [f"Of {self.records:,} records, {self.kept:,} were kept{share}."]
        lines.append(f"Near duplicates dropped (similarity {self.threshold:g} or more): {self.duplicates:,}.")
        if self.against_records:
            lines.append(
                f"Of these, {self.against_duplicates:,} duplicate one of the {self.against_records:,} records of "
                "the other files."
            )
        if self.without_words:
            lines.append(f"Dropped because they contain no words: {self.without_words:,}.")
        if self.malformed:
            lines.append(said_malformed(self.malformed, self.malformed_first))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Row:
    file: int
    number: int
    id: str | None
    text: str
    row: Any


def dedup_files(
    inputs: Sequence[Path],
    output: Path,
    threshold: float = 0.8,
    against: Sequence[Path] = (),
    field: Field = "instruction",
    force: bool = False,
    neighbors: bool = False,
    progress: Callable[[int], None] | None = None,
) -> DedupReport:
    """Writes the records of files into a folder, without near duplicates; the first of two similar ones stays.

    Written are kept.jsonl and dropped.jsonl (both in input order, with the rows' own fields), malformed.jsonl and
    dedup_report.json. The same inputs and settings always give the same bytes.

    Args:
        inputs: JSON, JSON lines, CSV, TSV or Parquet files, or data sets of the Hub (``hf:NAME``).
        output: a new or empty folder, or the output of an earlier call, which is replaced.
        threshold: the Jaccard similarity of word sets, above 0 and at most 1, at which a record is dropped.
        against: files whose records all count as kept earlier. They are not written out.
        field: what is compared.
        force: write into a folder that holds other files; files of the same names are replaced.
        neighbors: add ``min_neighbor_distance`` and ``nearest_neighbor`` to each kept row: how far it is from the most
            similar other kept record or record of `against`. The time grows with the square of the records.
        progress: called with the number of rows read since the last call; with `neighbors`, once more for each kept
            row.

    Raises:
        UserError: unreadable inputs, a wrong threshold, or an output folder with other things in it or in use.
        RunError: the disk is full.
    """
    inputs, against, output = [Path(i) for i in inputs], [Path(a) for a in against], Path(output)
    if not inputs:
        raise UserError("There is nothing to compare.", "No input file was named.")
    if not 0 < threshold <= 1:
        raise UserError(f"The similarity threshold {threshold:g} is not possible.", "It must be above 0 and at most 1.")
    folder = OutputFolder(output, "dedup")
    folder.check([*inputs, *against], force)
    with folder.claimed(REPORT):
        report = _compared(inputs, against, output, threshold, field, neighbors, progress)
        write_text(output / REPORT, report.to_json())
    return report


def _compared(
    inputs: list[Path],
    against: list[Path],
    output: Path,
    threshold: float,
    field: Field,
    neighbors: bool,
    progress: Callable[[int], None] | None,
) -> DedupReport:
    """Compares all rows and writes each to its file; see `dedup_files`."""
    with ExitStack() as stack:
        kept, dropped, malformed = (
            stack.enter_context(atomic_file(output / f"{name}.jsonl")) for name in ("kept", "dropped", "malformed")
        )
        rows = stack.enter_context(TemporaryFile()) if neighbors else kept
        job = _Job([*against, *inputs], threshold, field, rows, dropped, malformed)
        for number in range(len(job.files)):
            for batch in job.batches(number):
                job.remember(batch) if number < len(against) else job.decide(batch)
                if progress:
                    progress(len(batch))
        if not job.report.records:
            raise no_rows(inputs)
        if neighbors:
            rows.seek(0)
            for line, column in zip(rows, job.neighbor_columns(progress), strict=True):
                kept.write(_line(json.loads(line) | column))
    return job.report


class _Job:
    """The comparison of some files."""

    def __init__(
        self,
        files: Sequence[Path],
        threshold: float,
        field: Field,
        kept: IO[bytes],
        dropped: IO[bytes],
        malformed: IO[bytes],
    ) -> None:
        self.files, self.field = files, field
        self.names = _names(files)
        self.report = DedupReport(threshold, field)
        self._kept, self._dropped, self._malformed = kept, dropped, malformed
        self._texts = KeepFirst(exact_fraction(threshold))
        self._file_of, self._number_of = array("H"), array("Q")
        self._id_of: list[str | None] = []
        self._against = 0

    def batches(self, file: int) -> Iterator[list[_Row]]:
        """Yields a file's records in batches; rows that are not records are written to malformed.jsonl."""
        rows = self._rows(file)
        while batch := list(islice(rows, BATCH)):
            yield batch

    def remember(self, batch: Sequence[_Row]) -> None:
        """Adds records that count as kept earlier."""
        self.report.against_records += len(batch)
        numbered = self._texts.remember([row.text for row in batch])
        self._place(row for row, there in zip(batch, numbered.tolist(), strict=True) if there)
        self._against = len(self._id_of)

    def decide(self, batch: Sequence[_Row]) -> None:
        """Writes each record to kept.jsonl or dropped.jsonl."""
        decisions = self._texts.decide([row.text for row in batch])
        stays = decisions.stays.tolist()
        self._place(row for row, there in zip(batch, stays, strict=True) if there)
        self.report.records += len(batch)
        for row, stay, match in zip(batch, stays, decisions.matches, strict=True):
            if stay:
                self.report.kept += 1
                self._kept.write(_line(row.row))
            else:
                self._dropped.write(_line(self._reason(*match) | self._where(row) | {"record": row.row}))

    def neighbor_columns(self, progress: Callable[[int], None] | None) -> list[dict[str, Any]]:
        """Returns the columns on its nearest neighbor for each kept record."""
        sets = self._texts.index.everything()
        names = [self._name(number) for number in range(len(sets))]
        return nearest_columns(sets, nearest_sets(sets, progress), names)[self._against :]

    def _name(self, number: int) -> str:
        stem = file_stem(self.files[self._file_of[number]])
        return self._id_of[number] or f"{stem}-{self._number_of[number]:06d}"

    def _rows(self, file: int) -> Iterator[_Row]:
        name, tally = self.names[file], Tally(self.files[file])
        for number, row, text in read_rows(self.files[file]):
            try:
                if isinstance(row, ShapeError):
                    raise row
                record = record_from_row(row, "", {}, strict=False)
            except ShapeError as error:
                self.report.malformed += 1
                tally.add(str(error))
                aside = Malformed(name, number, str(error), text[:200])
                if len(self.report.malformed_first) < SAID:
                    self.report.malformed_first.append(aside.place)
                self._malformed.write(_line(aside.to_json()))
                continue
            tally.add()
            yield _Row(file, number, record.id or None, compared_text(record, self.field), row)
        tally.require_records()

    def _place(self, rows: Iterable[_Row]) -> None:
        for row in rows:
            self._file_of.append(row.file)
            self._number_of.append(row.number)
            self._id_of.append(row.id)

    def _reason(self, number: int, shared: int, union: int) -> dict[str, Any]:
        what = "record" if self.field == "both" else self.field
        if number < 0:
            self.report.without_words += 1
            return Verdict(NO_WORDS, False, 0, 1, f"the {what} contains no words").to_json()
        self.report.duplicates += 1
        self.report.against_duplicates += number < self._against
        file, line, matched = self._file_of[number], self._number_of[number], self._name(number)
        similarity = round(shared / union, 6)
        at = f"'{matched}' ({self.names[file]}, {line})"
        reason = f"the {what} shares {shared} of {union} words with {at} (similarity {similarity:.3f})"
        verdict = Verdict(NearDuplicates.name, False, similarity, self.report.threshold, reason, matched)
        return verdict.to_json() | {"matched_file": self.names[file], "matched_number": line}

    def _where(self, row: _Row) -> dict[str, Any]:
        return {"file": self.names[row.file], "number": row.number}


def _names(files: Sequence[Path]) -> list[str]:
    """The files' names; where two are the same, as they were given."""
    names = [file.name for file in files]
    return [name if names.count(name) == 1 else str(file) for name, file in zip(names, files, strict=True)]


def _line(row: Any) -> bytes:
    """The row as a line of JSON; dates and bytes from Parquet files become text."""
    return json_bytes(row, default=str) + b"\n"
