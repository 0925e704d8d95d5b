"""Stage filter: every rule checks every record; signals and verdicts are stored.

With `generate.until_kept` exactly so many records are kept, each domain with its share of them: the first that pass.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, FilterConfig
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.data_generation.plan import apportion, domain_shares
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import role_format
from synthetic_instruction_tuner.run.roles import used_models
from synthetic_instruction_tuner.run.stages import filter_inputs
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.report import FilterReport
    from synthetic_instruction_tuner.filtering.rule import Verdict


def part(config: Config) -> dict[str, Any]:
    """Returns what the verdicts depend on, and with a target what decides who is kept."""
    found = filter_inputs.part(config)
    if config.generate.until_kept is None:
        return found
    shares = {name or "": share for name, share in domain_shares(config.generate).items()}
    return found | {"generate": {"until_kept": config.generate.until_kept, "shares": shares}}


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.filter_report
    return [folder.filtered, folder.filtered.with_suffix(".parquet"), report, report.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Checks all records and keeps the first that pass: `keep` of them, or the target's number, domain by domain."""
    from synthetic_instruction_tuner.filtering.quality_filter import kept_rows, select, select_by_domain
    from synthetic_instruction_tuner.filtering.report import FilterReport
    from synthetic_instruction_tuner.filtering.rule import ModelRule
    from synthetic_instruction_tuner.filtering.signals import compute_signals, failed_requests

    settings = ctx.config.filter
    source = ctx.input_unit("generate")
    records = [Record.from_json(row) for row in ctx.store.rows(source)]
    quality = filter_inputs.quality_filter(ctx.config)
    for role, model in used_models(ctx.config, ["filter"]):
        if held := role_format(ctx.config, ctx.hardware, role, model):
            ctx.opens(model, held)
    signals = compute_signals(quality.rules, records, RunSignals(ctx), ctx.store.unit_digest(source), ctx.display)
    results = []
    with ctx.display.task("deciding", len(records), "records") as advance:
        for result in quality.check(records, signals):
            results.append(result)
            advance(1)
    quotas, samples = _quotas(ctx.config), ctx.config.report.samples
    report = FilterReport.build(records, results, settings, samples=samples, quality=quality, quotas=quotas)
    report.write(ctx.folder.filter_report.parent)
    chosen = select(results, settings.keep) if quotas is None else select_by_domain(records, results, quotas)
    kept = set(chosen)
    rows = [record.to_json() for record in records if record.id in kept]
    _store(ctx, rows, [result.to_json() for result in results])
    ctx.store.set_fact("filter_report", json.loads(report.to_json()))
    asked = (record.provenance.get("language") for record in records)
    failures = [(v, language) for r, language in zip(results, asked, strict=True) if (v := r.first_failure)]
    ctx.require_rows(
        len(rows),
        "records left after filtering",
        f"All {len(records)} were dropped; {report.main_reason()}.",
        f"{_what_helps(failures, settings)} See {ctx.folder.filter_report.with_suffix('.md')}",
    )
    # The rules' hash and the columns are in the files only: a changed rule that drops the same records changes nothing
    # for the stages that come after.
    export_rows(kept_rows(records, results, quality, chosen), ctx.folder.filtered)
    later = [rule.name for rule in quality.rules if isinstance(rule, ModelRule)]
    if short := _shortfall(report, later):
        helps = _what_helps([failure for failure in failures if failure[0].rule in later], settings)
        ctx.display.say(f"  {short}. {helps}".rstrip(), style="bold")
    note = "; ".join(filter(None, (short, report.main_reason(), report.unchecked(), failed_requests(signals))))
    return Outcome(ctx.store.unit_digest(ctx.unit()), len(records), len(rows), note)


def _quotas(config: Config) -> dict[str | None, int] | None:
    """Returns how many records of each domain are kept, where there is a target; never more than `keep` in all."""
    wanted, keep = config.generate.until_kept, config.filter.keep
    if wanted is None:
        return None
    return apportion(wanted if keep is None else min(wanted, keep), domain_shares(config.generate))


def _shortfall(report: FilterReport, later: Sequence[str]) -> str:
    """Returns how many of the wanted records are there, if not all, and what the rules with a model drop of them."""
    if report.target is None or report.kept >= report.target:
        return ""
    dropped = [f"{row.rule} drops {row.dropped:,}" for row in report.funnel if row.rule in later and row.dropped]
    because = f": {' and '.join(dropped)}, which stage generate could not check" if dropped else ""
    return f"{report.kept:,} of the {report.target:,} wanted records are kept{because}"


def _what_helps(failures: Sequence[tuple[Verdict, str | None]], settings: FilterConfig) -> str:
    """Returns advice on the rule of most of these verdicts, each with the language asked for; empty without any."""
    from synthetic_instruction_tuner.filtering.advice import advice

    for rule, _ in Counter(failure.rule for failure, _ in failures).most_common(1):
        found = Counter(advice(failure, settings, asked) for failure, asked in failures if failure.rule == rule)
        return f"What helps for {rule}: {found.most_common(1)[0][0]}."
    return ""


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
    version=4,
    units=("records", "kept"),
)
