"""Filtering the user's own files, without a run: what `sit filter mine.jsonl -o out/` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import FilterConfig, ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_error, write_jsonl, write_text
from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.filtering.near_duplicates.neighbors import neighbor_columns
from synthetic_instruction_tuner.filtering.quality_filter import Measured, QualityFilter, select
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import Judgement, Verdict
from synthetic_instruction_tuner.records import Record

MARK = ".sit-filter"  # says that a folder is ours to write again
MARK_TEXT = "Written by 'sit filter'; with this file here, it may write this folder again.\n"


def filter_files(
    inputs: Sequence[Path],
    output: Path,
    config: FilterConfig | None = None,
    progress: Callable[[int], None] | None = None,
    benchmarks: Sequence[BenchmarkSet] | None = None,
    reward: ModelConfig | None = None,
    measure: Callable[[QualityFilter, Sequence[Record]], Measured] | None = None,
    scoring: Mapping[str, Any] | None = None,
) -> FilterReport:
    """Filters files of records into a folder.

    Written are kept.jsonl and dropped.jsonl (both in input order), malformed.jsonl and filter_report.{json,md}. The
    same inputs and settings always give the same bytes.

    Args:
        inputs: JSON, JSON lines or Parquet files.
        output: a new or empty folder, or the output of an earlier call, which is replaced.
        config: the rules; `keep` cuts what is kept, and is best None for files of one's own.
        progress: called with the number of records judged so far, after each.
        benchmarks: items that no record may hold; when None, those that the settings name and this machine has.
        reward: the reward model of `min_reward`.
        measure: asks the models that rules need, and returns what they said.
        scoring: the settings that the reward model's scores depend on.

    Raises:
        UserError: unreadable inputs, wrong settings, or an output folder with other things in it.
        RunError: the disk is full.
    """
    inputs, output = [Path(i) for i in inputs], Path(output)
    check_places(inputs, output)
    quality = QualityFilter(config, benchmarks, reward, scoring)
    malformed: list[Malformed] = []
    records = list(read_records(inputs, malformed))
    judgements = []
    write_text(output / MARK, MARK_TEXT)  # first of all: an interrupted call may go on in this folder
    measured = measure(quality, records) if measure else None
    for judgement in quality.judge(records, measured):
        judgements.append(judgement)
        if progress:
            progress(len(judgements))
    report = FilterReport.build(records, judgements, quality.config, malformed=malformed, quality=quality)
    _write(output, records, judgements, report, malformed)
    return report


def check_places(inputs: Sequence[Path], output: Path) -> None:
    """Raises UserError for inputs that are not there, and for an output folder that must not be written."""
    if not inputs:
        raise UserError("There is nothing to filter.", "No input file was named.")
    for file in inputs:
        if not file.is_file():
            cause = "It is not a file." if file.exists() else "It is not there."
            raise UserError(f"The file {file} cannot be read.", cause)
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
    try:
        (output / "filter_report.json").unlink(missing_ok=True)  # the report comes last: with it, all is there
    except OSError as error:
        raise write_error(output / "filter_report.json", error) from error
    kept = set(select(judgements, report.settings["keep"]))
    stay = [(r, j) for r, j in zip(records, judgements, strict=True) if r.id in kept]
    columns = neighbor_columns([r for r, _ in stay]) if report.settings["neighbors"] else [{}] * len(stay)
    rows = (_kept_row(r, j, report.rules_hash) | c for (r, j), c in zip(stay, columns, strict=True))
    write_jsonl(output / "kept.jsonl", rows)
    write_jsonl(output / "dropped.jsonl", _dropped_rows(records, judgements, kept, report.settings["keep"]))
    write_jsonl(output / "malformed.jsonl", (m.to_json() for m in malformed))
    report.write(output)


def data_row(record: Record, judgement: Judgement, rules_hash: str) -> dict[str, Any]:
    """Returns a kept record as it goes out: with what the rules say about it, and the hash of the rules."""
    row = record.to_json()
    return row | {"provenance": row["provenance"] | {"filter_rules": rules_hash}} | judgement.columns


def _kept_row(record: Record, judgement: Judgement, rules_hash: str) -> dict[str, Any]:
    return data_row(record, judgement, rules_hash) | {"messages": [m.as_dict() for m in record.messages()]}


def _dropped_rows(
    records: Sequence[Record], judgements: Sequence[Judgement], kept: set[str], keep: int | None
) -> Iterator[dict[str, Any]]:
    over = Verdict("keep", False, None, keep, f"it passed every rule, but {keep} records were kept already")
    for record, judgement in zip(records, judgements, strict=True):
        if record.id in kept:
            continue
        failure = judgement.first_failure or over
        others = [v.rule for v in judgement.verdicts if not v.passed and v is not failure]
        items = [hit[0] for verdict in judgement.verdicts for hit in verdict.details or ()]
        found = {"benchmark_items": items} if items else {}
        yield failure.to_json() | {"also_failed": others} | found | judgement.columns | {"record": record.to_json()}
