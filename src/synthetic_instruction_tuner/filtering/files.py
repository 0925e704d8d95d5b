"""Filtering the user's own files, without a run: what `sit filter mine.jsonl -o out/` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..atomicfiles import write_error, write_jsonl, write_text
from ..errors import UserError
from ..recordfiles import Malformed, read_records
from ..records import Record
from ..settings import FilterConfig
from .neighbors import neighbor_columns
from .quality_filter import QualityFilter, select
from .report import FilterReport
from .verdict import Judgement, Verdict

MARK = ".sit-filter"  # says that a folder is ours to write again
MARK_TEXT = "Written by 'sit filter'; with this file here, it may write this folder again.\n"


def filter_files(
    inputs: Sequence[Path],
    output: Path,
    config: FilterConfig | None = None,
    progress: Callable[[int], None] | None = None,
) -> FilterReport:
    """Filters files of records into a folder.

    Written are kept.jsonl and dropped.jsonl (both in input order), malformed.jsonl and filter_report.{json,md}. The
    same inputs and settings always give the same bytes.

    Args:
        inputs: JSON, JSON lines or Parquet files.
        output: a new or empty folder, or the output of an earlier call, which is replaced.
        config: the rules; `keep` cuts what is kept, and is best None for files of one's own.
        progress: called with the number of records judged so far, after each.

    Raises:
        UserError: unreadable inputs, wrong settings, or an output folder with other things in it.
        RunError: the disk is full.
    """
    inputs, output = [Path(i) for i in inputs], Path(output)
    _check_places(inputs, output)
    quality = QualityFilter(config)
    malformed: list[Malformed] = []
    records = list(read_records(inputs, malformed))
    judgements = []
    for judgement in quality.judge(records):
        judgements.append(judgement)
        if progress:
            progress(len(judgements))
    report = FilterReport.build(records, judgements, quality.config, malformed=len(malformed))
    _write(output, records, judgements, report, malformed)
    return report


def _check_places(inputs: Sequence[Path], output: Path) -> None:
    if not inputs:
        raise UserError("There is nothing to filter.", "No input file was named.")
    try:
        there = sorted(p.name for p in output.iterdir()) if output.exists() else []
    except OSError as error:
        raise UserError(f"The output {output} cannot be used as a folder.", error.strerror or str(error)) from None
    if there and MARK not in there:
        raise UserError(
            f"The output folder {output} is not empty.",
            f"It holds {', '.join(there[:3])}{' and more' if len(there) > 3 else ''}, not written by 'sit filter'.",
            "Name a new folder with -o.",
        )
    for file in inputs:
        if file.resolve().parent == output.resolve():
            problem = f"The input {file} lies in the output folder."
            raise UserError(problem, "It could be overwritten.", "Name another folder with -o.")


def _write(
    output: Path,
    records: Sequence[Record],
    judgements: Sequence[Judgement],
    report: FilterReport,
    malformed: Sequence[Malformed],
) -> None:
    write_text(output / MARK, MARK_TEXT)
    try:
        (output / "filter_report.json").unlink(missing_ok=True)  # the report comes last: with it, all is there
    except OSError as error:
        raise write_error(output / "filter_report.json", error) from error
    kept = set(select(judgements, report.settings["keep"]))
    stay = [record for record in records if record.id in kept]
    columns = neighbor_columns(stay) if report.settings["neighbors"] else [{}] * len(stay)
    write_jsonl(output / "kept.jsonl", (_kept_row(r) | c for r, c in zip(stay, columns, strict=True)))
    write_jsonl(output / "dropped.jsonl", _dropped_rows(records, judgements, kept, report.settings["keep"]))
    write_jsonl(output / "malformed.jsonl", (m.to_json() for m in malformed))
    report.write(output)


def _kept_row(record: Record) -> dict[str, Any]:
    return record.to_json() | {"messages": [m.as_dict() for m in record.messages()]}


def _dropped_rows(
    records: Sequence[Record], judgements: Sequence[Judgement], kept: set[str], keep: int | None
) -> Iterator[dict[str, Any]]:
    over = Verdict("keep", False, None, keep, f"it passed every rule, but {keep} records were kept already")
    for record, judgement in zip(records, judgements, strict=True):
        if record.id in kept:
            continue
        failure = judgement.first_failure or over
        others = [v.rule for v in judgement.verdicts if not v.passed and v is not failure]
        yield failure.to_json() | {"also_failed": others} | {"record": record.to_json()}
