"""Stage filter: every rule judges every record; measurements and verdicts are stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.filtering.files import data_row
from synthetic_instruction_tuner.filtering.near_duplicates.neighbors import neighbor_columns
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, select
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import Judgement
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.judging import benchmark_sets, part
from synthetic_instruction_tuner.run.stages.measuring import gave_up, measure
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.filter_report
    return [folder.filtered, folder.filtered.with_suffix(".parquet"), report, report.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Judges all records and hands on the first `keep` that pass."""
    settings = ctx.config.filter
    source = ctx.input_unit("generate")
    records = [Record.from_json(row) for row in ctx.store.rows(source)]
    quality = quality_filter(ctx.config)
    digest = ctx.store.unit_digest(source)
    measured = measure(quality.rules, records, digest, ctx.store, ctx.commit, ctx.config, ctx.hardware, ctx.display)
    with ctx.display.task("deciding", len(records), "records") as advance:
        judgements = []
        for judgement in quality.judge(records, measured):
            judgements.append(judgement)
            advance(1)
    report = FilterReport.build(records, judgements, settings, samples=ctx.config.report.samples, quality=quality)
    report.write(ctx.folder.filter_report.parent)
    kept = set(select(judgements, settings.keep))
    rows = [record.to_json() for record in records if record.id in kept]
    _store(ctx, rows, [_as_row(judgement) for judgement in judgements])
    ctx.store.measure("filter_report", json.loads(report.to_json()))
    ctx.store.measure("filter_rules", {"hash": quality.rule_set_hash, "rules": quality.rule_set})
    ctx.require_rows(
        len(rows),
        "records left after filtering",
        f"All {len(records)} were dropped; {report.main_reason()}.",
        f"See {ctx.folder.filter_report.with_suffix('.md')}, then loosen a rule, for example --set filter.min_words=5",
    )
    # The rules' hash and the columns are in the files only: a changed rule that drops the same records changes nothing
    # for the stages that come after.
    judged = {judgement.record_id: judgement for judgement in judgements}
    stay = [r for r in records if r.id in kept]
    columns = neighbor_columns(stay) if settings.neighbors else [{}] * len(stay)
    data = (data_row(r, judged[r.id], quality.rule_set_hash) | c for r, c in zip(stay, columns, strict=True))
    export_rows(data, ctx.folder.filtered)
    note = "; ".join(filter(None, (report.main_reason(), report.unchecked(), gave_up(measured))))
    return Outcome(ctx.store.unit_digest(ctx.unit()), len(records), len(rows), note)


def quality_filter(config: Config) -> QualityFilter:
    """Returns the configuration's filter, with the items of its benchmarks."""
    return QualityFilter(config.filter, benchmark_sets(config), config.models.reward, reward_settings(config.prefer))


def _store(ctx: Context, rows: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> None:
    for unit, content in ((ctx.unit(), rows), (ctx.unit("verdicts"), verdicts)):
        ctx.store.drop_unit(unit)
        ctx.commit(unit, 0, content)


def _as_row(judgement: Judgement) -> dict[str, Any]:
    verdicts = [verdict.to_json() for verdict in judgement.verdicts]
    return {"record_id": judgement.record_id, "verdicts": verdicts, "columns": judgement.columns}


STAGE = Stage(
    "filter", "Filter: every rule on every record, every verdict kept", ("generate",), part, outputs, run, version=3
)
