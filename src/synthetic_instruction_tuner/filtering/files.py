"""Filters the user's own files, without a run: what `sit filter mine.jsonl -o out/` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthetic_instruction_tuner.config import EngineConfig, FilterConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_jsonl
from synthetic_instruction_tuner.data_files.exports import trainer_row
from synthetic_instruction_tuner.data_files.own_data.output_folder import OutputFolder
from synthetic_instruction_tuner.data_files.reading import Malformed, no_rows, read_records
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import fetch, load_benchmarks
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, dropped_rows, kept_rows
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import FilterResult
from synthetic_instruction_tuner.filtering.rules.reward import RewardScorer
from synthetic_instruction_tuner.filtering.signals import (
    Progress,
    SignalFolder,
    Silent,
    compute_signals,
    failed_requests,
    records_digest,
)
from synthetic_instruction_tuner.records import Record

REPORT = "filter_report.json"  # written last: where it exists, the output is complete
SIGNALS = ".signals"  # models' answers, so that an interrupted call continues and a changed limit asks none again


def filter_files(
    inputs: Sequence[Path],
    output: Path,
    config: FilterConfig | None = None,
    *,
    generated: Sequence[BenchmarkSet] = (),
    reward: RewardScorer | None = None,
    engine: EngineConfig | None = None,
    keep_thoughts: bool = False,
    progress: Progress | None = None,
) -> FilterReport:
    """Filters files of records into a folder.

    Written are kept.jsonl and dropped.jsonl (both in input order), malformed.jsonl and filter_report.{json,md}. The
    same inputs and settings always give the same bytes. Benchmarks of the settings that this machine lacks are
    downloaded first; what cannot be had is named in the report.

    Args:
        inputs: JSON, JSON lines, CSV, TSV or Parquet files, or data sets of the Hub (``hf:NAME``).
        output: a new or empty folder, or the output of an earlier call, which is replaced.
        config: the rules; `keep` limits how many records are kept, and is best None for one's own files.
        generated: benchmarks whose items are generated, not read: those of the embedded models.
        reward: scores the records, for `min_reward`.
        engine: the settings of the engine that runs the tagging model.
        keep_thoughts: whether thoughts before an answer stay in the response, and are judged with it.
        progress: shows progress.

    Raises:
        UserError: unreadable inputs, wrong settings, or an output folder with other files in it or in use.
        RunError: the disk is full.
    """
    inputs, folder = [Path(i) for i in inputs], OutputFolder(Path(output), "filter")
    config, progress = config or FilterConfig(), progress or Silent()
    if not inputs:
        raise UserError("There is nothing to filter.", "No input file was named.")
    folder.check(inputs)
    fetch(config.contamination, progress.say)
    benchmarks = [*generated, *load_benchmarks(config.contamination)]
    quality = QualityFilter(config, benchmarks, reward, engine)
    progress.say(f"Checking {', '.join(map(str, inputs))}")
    malformed: list[Malformed] = []
    records = list(read_records(inputs, malformed, keep_thoughts))
    if not records:
        raise no_rows(inputs)
    if thinking := sum(record.thinking is not None for record in records):
        progress.say(f"Responses with thoughts: {thinking:,}. They are kept apart, as 'thinking'.")
    with folder.claimed(REPORT):
        signals = compute_signals(
            quality.model_rules, records, SignalFolder(folder.path / SIGNALS), records_digest(records), progress
        )
        if failed := failed_requests(signals):
            progress.say(f"Some records have no tags: {failed}. The same command asks for them again.")
        results = []
        with progress.task("checking", len(records), "records") as advance:
            for result in quality.check(records, signals):
                results.append(result)
                advance(1)
        return _write(folder.path, records, results, quality, malformed)


def _write(
    folder: Path,
    records: Sequence[Record],
    results: Sequence[FilterResult],
    quality: QualityFilter,
    malformed: Sequence[Malformed],
) -> FilterReport:
    """Writes the rows, and last of all the report."""
    report = FilterReport.build(records, results, quality.config, malformed=malformed, quality=quality)
    write_jsonl(folder / "kept.jsonl", map(trainer_row, kept_rows(records, results, quality)))
    write_jsonl(folder / "dropped.jsonl", dropped_rows(records, results, quality.config.keep))
    write_jsonl(folder / "malformed.jsonl", (m.to_json() for m in malformed))
    report.write(folder)
    return report
