"""The filter report as a page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import markdown as cell
from synthetic_instruction_tuner.filtering.rule import shorten

if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.report import (
        CheckedBenchmark,
        DroppedSample,
        FilterReport,
        FunnelRow,
        ItemHit,
    )

SHOWN_HITS = 20  # benchmark items found; the JSON has all


def markdown(report: FilterReport) -> str:
    """Returns the page."""
    parts = ["# Filter report", "\n".join(map(cell, report.summary().splitlines())), _funnel_table(report.funnel)]
    parts += [_contamination_table(report.benchmarks, report.hits)] if report.benchmarks else []
    parts += [_sample_table(rule, samples) for rule, samples in report.samples.items()]
    parts += [_rule_table(report.rules, report.rules_hash)] if report.rules else []
    parts.append(_settings_table(report.settings, report.settings_hash))
    return "\n\n".join(parts) + "\n"


def _funnel_table(funnel: Sequence[FunnelRow]) -> str:
    head = "| rule | records in | dropped here first | share of all | would drop alone |\n|---|---:|---:|---:|---:|"
    rows = [f"| {cell(r.rule)} | {r.records_in:,} | {r.dropped:,} | {r.share:.1%} | {r.alone:,} |" for r in funnel]
    return "\n".join([head, *rows])


def _contamination_table(benchmarks: Sequence[CheckedBenchmark], hits: Sequence[ItemHit]) -> str:
    rows = [
        "## Contamination\n",
        "| benchmark | items looked for | source | records with an item | items found | not checked |",
    ]
    rows.append("|---|---:|---|---:|---:|---|")
    rows += [
        f"| {cell(b.name)} | {b.items:,} | {cell(b.origin)} | {b.records:,} | {b.found:,} | {cell(b.problem)} |"
        for b in benchmarks
    ]
    if hits:
        rows += ["", "| record | item | match | share | found in | start of the item |", "|---|---|---|---:|---|---|"]
        rows += [
            f"| {cell(shorten(h.record))} | {cell(h.item)} | {cell(h.how)} | {h.share:.0%} "
            f"| {cell(h.place)} | {cell(h.text)} |"
            for h in hits[:SHOWN_HITS]
        ]
    if len(hits) > SHOWN_HITS:
        rows.append(f"\nand {len(hits) - SHOWN_HITS:,} more in filter_report.json")
    return "\n".join(rows)


def _sample_table(rule: str, samples: Sequence[DroppedSample]) -> str:
    rows = [f"| {cell(s.id)} | {cell(s.instruction)} | {cell(s.reason)} |" for s in samples]
    return "\n".join([f"## Dropped by {cell(rule)}: examples\n", "| id | instruction | reason |\n|---|---|---|", *rows])


def _rule_table(rules: Mapping[str, Mapping[str, Any]], digest: str) -> str:
    rows = [f"| {cell(rule)} | {cell(json.dumps(settings, ensure_ascii=False))} |" for rule, settings in rules.items()]
    head = f"## Rules\n\nHash, as in every kept record's `provenance.filter_rules`: `{digest}`\n"
    return "\n".join([head, "| rule | version and settings |\n|---|---|", *rows])


def _settings_table(settings: Mapping[str, Any], digest: str) -> str:
    rows = [f"| {cell(key)} | {cell(json.dumps(value, ensure_ascii=False))} |" for key, value in settings.items()]
    return "\n".join([f"## Settings\n\nHash: `{digest}`\n", "| setting | value |\n|---|---|", *rows])
