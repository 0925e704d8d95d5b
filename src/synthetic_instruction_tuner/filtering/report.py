"""The filter report: how many records each rule dropped, and examples of what it dropped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..atomicfiles import write_text
from ..config import fingerprint
from ..records import Record
from ..settings import FilterConfig
from .verdict import Judgement, Verdict, shorten


@dataclass(frozen=True)
class FunnelRow:
    """One rule's effect.

    Attributes:
        rule: the rule's name.
        records_in: records that all earlier rules let pass.
        dropped: those among them that this rule dropped.
        share: dropped, as a share of all records, 0..1.
        alone: records that this rule would drop if it were asked first; for diversity, compared with the kept records.
    """

    rule: str
    records_in: int
    dropped: int
    share: float
    alone: int


@dataclass(frozen=True)
class DroppedSample:
    """A dropped record, as an example."""

    id: str
    instruction: str
    measured: float | str | None
    reason: str


@dataclass(frozen=True)
class FilterReport:
    """What the filter did.

    Attributes:
        records: records judged.
        passed: records that every rule lets stay.
        kept: records handed on; at most the wanted number.
        over: records that passed but come after the wanted number.
        malformed: input lines that were no record.
        funnel: one row per rule, in order.
        samples: examples of what each rule dropped first, the first ones in order.
        settings: the rules' settings.
        settings_hash: their hash, the same on every machine.
    """

    records: int
    passed: int
    kept: int
    over: int
    funnel: tuple[FunnelRow, ...]
    samples: dict[str, tuple[DroppedSample, ...]]
    settings: dict[str, Any]
    settings_hash: str
    malformed: int = 0
    kind: str = field(default="filter_report", init=False)

    @classmethod
    def build(
        cls,
        records: Iterable[Record],
        judgements: Iterable[Judgement],
        config: FilterConfig,
        samples: int = 3,
        malformed: int = 0,
    ) -> FilterReport:
        """Returns the report on records and their judgements, both in the same order."""
        judged = [(r, j) for r, j in zip(records, judgements, strict=True)]
        passed = sum(j.kept for _, j in judged)
        kept = passed if config.keep is None else min(passed, config.keep)
        return cls(
            records=len(judged),
            passed=passed,
            kept=kept,
            over=passed - kept,
            funnel=_funnel([j for _, j in judged]),
            samples=_samples(judged, samples),
            settings=config.model_dump(mode="json"),
            settings_hash=fingerprint(config),
            malformed=malformed,
        )

    def to_json(self) -> str:
        """Returns the report as indented JSON; the same records and settings always give the same text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Returns the report for people."""
        parts = ["# Filter report", self.summary(), _table(self.funnel)]
        parts += [_sample_table(rule, samples) for rule, samples in self.samples.items()]
        settings = [f"| {key} | {_cell(json.dumps(v, ensure_ascii=False))} |" for key, v in self.settings.items()]
        head = f"## Settings\n\nHash: `{self.settings_hash}`\n\n| setting | value |\n|---|---|"
        parts.append("\n".join([head, *settings]))
        return "\n\n".join(parts) + "\n"

    def main_reason(self) -> str:
        """Returns the rule that dropped most, and how many; empty when nothing was dropped."""
        most = max(self.funnel, key=lambda row: row.dropped, default=None)
        return f"most were dropped for {most.rule} ({most.dropped:,})" if most and most.dropped else ""

    def write(self, folder: Path) -> None:
        """Writes filter_report.json and filter_report.md into the folder, each whole or not at all."""
        write_text(folder / "filter_report.md", self.to_markdown())
        write_text(folder / "filter_report.json", self.to_json())

    def summary(self) -> str:
        """Returns the counts in one or a few sentences."""
        share = f" ({self.kept / self.records:.1%})" if self.records else ""
        dropped = self.records - self.passed
        lines = [f"Of {self.records:,} records, {self.kept:,} were kept{share} and {dropped:,} dropped."]
        if self.over:
            wanted = self.settings["keep"]
            lines.append(f"{self.over:,} more passed every rule but are over the wanted number ({wanted:,}).")
        if self.malformed:
            lines.append(f"{self.malformed:,} lines of the input were no record.")
        return "\n".join(lines)


def _funnel(judgements: Sequence[Judgement]) -> tuple[FunnelRow, ...]:
    rules = [v.rule for v in judgements[0].verdicts] if judgements else []
    first = dict.fromkeys(rules, 0)
    alone = dict.fromkeys(rules, 0)
    for judgement in judgements:
        failures = [v.rule for v in judgement.verdicts if not v.passed]
        for rule in failures:
            alone[rule] += 1
        if failures:
            first[failures[0]] += 1
    rows, left = [], len(judgements)
    for rule in rules:
        rows.append(FunnelRow(rule, left, first[rule], round(first[rule] / len(judgements), 6), alone[rule]))
        left -= first[rule]
    return tuple(rows)


def _samples(judged: Sequence[tuple[Record, Judgement]], most: int) -> dict[str, tuple[DroppedSample, ...]]:
    found: dict[str, list[DroppedSample]] = {}
    for record, judgement in judged:
        failure = judgement.first_failure
        if failure and len(found.setdefault(failure.rule, [])) < most:
            found[failure.rule].append(_sample(record, failure))
    order = [v.rule for v in judged[0][1].verdicts] if judged else []
    return {rule: tuple(found[rule]) for rule in order if found.get(rule)}


def _sample(record: Record, failure: Verdict) -> DroppedSample:
    instruction, reason = shorten(record.instruction, 100), shorten(failure.reason, 160)
    return DroppedSample(shorten(record.id), instruction, failure.measured, reason)


def _table(funnel: Sequence[FunnelRow]) -> str:
    head = "| rule | records in | dropped here first | share of all | would drop alone |\n|---|---:|---:|---:|---:|"
    rows = [f"| {r.rule} | {r.records_in:,} | {r.dropped:,} | {r.share:.1%} | {r.alone:,} |" for r in funnel]
    return "\n".join([head, *rows])


def _sample_table(rule: str, samples: Sequence[DroppedSample]) -> str:
    rows = [f"| {_cell(s.id)} | {_cell(s.instruction)} | {_cell(s.reason)} |" for s in samples]
    return "\n".join([f"## Dropped by {rule}: examples\n", "| id | instruction | reason |\n|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Text that cannot break out of a Markdown table's cell."""
    for mark in "\\`*_[]<|":
        text = text.replace(mark, "\\" + mark)
    return text
