"""Stage filter: every rule judges every record; the verdicts are stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..config import Config
from ..filtering.quality_filter import QualityFilter, select
from ..filtering.report import FilterReport
from ..filtering.verdict import Judgement
from ..folder import RunFolder
from ..recordfiles import export_rows
from ..records import Record
from .context import Context, Outcome, Stage


def part(config: Config) -> dict[str, Any]:
    """Returns what the verdicts depend on."""
    return {"filter": config.filter.model_dump(mode="json")}


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.filter_report
    return [folder.filtered, folder.filtered.with_suffix(".parquet"), report, report.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Judges all records and hands on the first `keep` that pass."""
    settings = ctx.config.filter
    records = [Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("generate"))]
    with ctx.display.task("judging", len(records), "records") as advance:
        judgements = []
        for judgement in QualityFilter(settings).judge(records):
            judgements.append(judgement)
            advance(1)
    report = FilterReport.build(records, judgements, settings, samples=ctx.config.report.samples)
    report.write(ctx.folder.filter_report.parent)
    kept = set(select(judgements, settings.keep))
    rows = [record.to_json() for record in records if record.id in kept]
    _store(ctx, rows, [_as_row(judgement) for judgement in judgements])
    ctx.store.measure("filter_report", json.loads(report.to_json()))
    ctx.require_rows(
        len(rows),
        "records left after filtering",
        f"All {len(records)} were dropped; {report.main_reason()}.",
        f"See {ctx.folder.filter_report.with_suffix('.md')}, then loosen a rule, for example --set filter.min_words=5",
    )
    export_rows(rows, ctx.folder.filtered)
    return Outcome(ctx.store.unit_digest(ctx.unit()), len(records), len(rows), report.main_reason())


def _store(ctx: Context, rows: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> None:
    for unit, content in ((ctx.unit(), rows), (ctx.unit("verdicts"), verdicts)):
        ctx.store.drop_unit(unit)
        ctx.commit(unit, 0, content)


def _as_row(judgement: Judgement) -> dict[str, Any]:
    return {"record_id": judgement.record_id, "verdicts": [verdict.to_json() for verdict in judgement.verdicts]}


STAGE = Stage("filter", "Filter: five quality rules, every verdict kept", ("generate",), part, outputs, run, 2)
