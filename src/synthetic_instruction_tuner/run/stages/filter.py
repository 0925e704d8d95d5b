"""Stage filter: every rule checks every record; signals and verdicts are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.filtering.quality_filter import kept_rows, select
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.signals import compute_signals, failed_requests
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.filter_inputs import part, quality_filter
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.filter_report
    return [folder.filtered, folder.filtered.with_suffix(".parquet"), report, report.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Checks all records and keeps the first `keep` that pass."""
    settings = ctx.config.filter
    source = ctx.input_unit("generate")
    records = [Record.from_json(row) for row in ctx.store.rows(source)]
    quality = quality_filter(ctx.config)
    signals = compute_signals(quality.rules, records, RunSignals(ctx), ctx.store.unit_digest(source), ctx.display)
    results = []
    with ctx.display.task("deciding", len(records), "records") as advance:
        for result in quality.check(records, signals):
            results.append(result)
            advance(1)
    report = FilterReport.build(records, results, settings, samples=ctx.config.report.samples, quality=quality)
    report.write(ctx.folder.filter_report.parent)
    kept = set(select(results, settings.keep))
    rows = [record.to_json() for record in records if record.id in kept]
    _store(ctx, rows, [result.to_json() for result in results])
    ctx.store.set_fact("filter_report", json.loads(report.to_json()))
    ctx.require_rows(
        len(rows),
        "records left after filtering",
        f"All {len(records)} were dropped; {report.main_reason()}.",
        f"See {ctx.folder.filter_report.with_suffix('.md')}, then loosen a rule, for example --set filter.min_words=5",
    )
    # The rules' hash and the columns are in the files only: a changed rule that drops the same records changes nothing
    # for the stages that come after.
    export_rows(kept_rows(records, results, quality), ctx.folder.filtered)
    note = "; ".join(filter(None, (report.main_reason(), report.unchecked(), failed_requests(signals))))
    return Outcome(ctx.store.unit_digest(ctx.unit()), len(records), len(rows), note)


@dataclass(frozen=True, slots=True)
class RunSignals:
    """Keeps signals in the run's store."""

    ctx: Context

    def load(self, name: str) -> dict[int, list[Any]]:
        """Returns the batches stored under a name, by number."""
        unit = self._unit(name)
        numbers = sorted(self.ctx.store.batch_numbers(unit))
        return {number: row["signals"] for number, row in zip(numbers, self.ctx.store.rows(unit), strict=True)}

    def save(self, name: str, number: int, signals: list[Any]) -> None:
        """Commits a batch."""
        self.ctx.commit(self._unit(name), number, [{"signals": signals}])

    def _unit(self, name: str) -> str:
        rule, _, key = name.partition("-")
        return f"filter:signals:{rule}:{key}"


def _store(ctx: Context, rows: Sequence[dict[str, Any]], verdicts: Sequence[dict[str, Any]]) -> None:
    for unit, content in ((ctx.unit(), rows), (ctx.unit("verdicts"), verdicts)):
        ctx.store.drop_unit(unit)
        ctx.commit(unit, 0, content)


STAGE = Stage(
    "filter",
    "Filter: every rule checks every record",
    ("generate",),
    part,
    outputs,
    run,
    version=3,
    units=("records", "kept"),
)
