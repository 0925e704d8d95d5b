"""The filter report: how many records each rule dropped, and examples of what it dropped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import FilterConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.data_files.reading import SAID, Malformed, said_malformed
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import file_names
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rule import Judgement, Verdict, shorten
from synthetic_instruction_tuner.records import Record

SHOWN_HITS = 20  # in the Markdown; the JSON has all


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
class CheckedBenchmark:
    """What was looked for of a benchmark, and found.

    Attributes:
        name: the benchmark.
        items: its items that were at hand.
        published: the items that it has, about, where that is known.
        origin: where they came from.
        records: records that hold an item.
        found: items that some record holds.
        problem: why it was not checked, or only in part; empty when all is well.
    """

    name: str
    items: int
    published: int | None
    origin: str
    records: int
    found: int
    problem: str


@dataclass(frozen=True)
class ItemHit:
    """A benchmark item in a record.

    Attributes:
        record: the record's id.
        item: the item's id.
        how: how it was found; see `filtering.contamination`.
        share: of the item's words, 0..1.
        place: the text that holds it.
        text: the item's start.
    """

    record: str
    item: str
    how: str
    share: float
    place: str
    text: str


@dataclass(frozen=True)
class FilterReport:
    """What the filter did.

    Attributes:
        records: records judged.
        passed: records that every rule lets stay.
        kept: records handed on; at most the wanted number.
        over: records that passed but come after the wanted number.
        malformed: input lines that were no record.
        malformed_first: where the first of them are, ``file:line``.
        funnel: one row per rule, in order.
        samples: examples of what each rule dropped first, the first ones in order.
        settings: the rules' settings.
        settings_hash: their hash, the same on every machine.
        rules: all that the verdicts depend on, by rule.
        rules_hash: its hash, which the records carry too.
        benchmarks: the benchmarks that were looked for.
        hits: every benchmark item found in a record.
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
    malformed_first: tuple[str, ...] = ()
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules_hash: str = ""
    benchmarks: tuple[CheckedBenchmark, ...] = ()
    hits: tuple[ItemHit, ...] = ()
    kind: str = field(default="filter_report", init=False)

    @classmethod
    def build(
        cls,
        records: Iterable[Record],
        judgements: Iterable[Judgement],
        config: FilterConfig,
        samples: int = 3,
        malformed: Sequence[Malformed] = (),
        quality: QualityFilter | None = None,
    ) -> FilterReport:
        """Returns the report on records and their judgements, both in the same order, and on the filter that judged."""
        judged = [(r, j) for r, j in zip(records, judgements, strict=True)]
        passed = sum(j.kept for _, j in judged)
        kept = passed if config.keep is None else min(passed, config.keep)
        hits = _hits(judged)
        return cls(
            records=len(judged),
            passed=passed,
            kept=kept,
            over=passed - kept,
            funnel=_funnel([j for _, j in judged]),
            samples=_samples(judged, samples),
            settings=(settings := _settings(config)),
            settings_hash=fingerprint(settings),
            malformed=len(malformed),
            malformed_first=tuple(line.place for line in malformed[:SAID]),
            rules=quality.rule_set if quality else {},
            rules_hash=quality.rule_set_hash if quality else "",
            benchmarks=tuple(_checked(some, hits) for some in quality.benchmarks) if quality else (),
            hits=hits,
        )

    def to_json(self) -> str:
        """Returns the report as indented JSON; the same records and settings always give the same text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Returns the report for people."""
        parts = ["# Filter report", self.summary(), _table(self.funnel)]
        parts += [_benchmark_table(self.benchmarks, self.hits)] if self.benchmarks else []
        parts += [_sample_table(rule, samples) for rule, samples in self.samples.items()]
        settings = [f"| {key} | {_cell(json.dumps(v, ensure_ascii=False))} |" for key, v in self.settings.items()]
        hashes = f"Hash: `{self.settings_hash}`; of the rules that judged: `{self.rules_hash}`"
        head = f"## Settings\n\n{hashes}\n\n| setting | value |\n|---|---|"
        parts.append("\n".join([head, *settings]))
        return "\n\n".join(parts) + "\n"

    def main_reason(self) -> str:
        """Returns the rule that dropped most, and how many; empty when nothing was dropped."""
        most = max(self.funnel, key=lambda row: row.dropped, default=None)
        return f"most were dropped for {most.rule} ({most.dropped:,})" if most and most.dropped else ""

    def unchecked(self) -> str:
        """Returns which benchmarks were not, or not wholly, looked for; empty when all were."""
        names = ", ".join(b.name if not b.items else f"parts of {b.name}" for b in self.benchmarks if b.problem)
        return f"contamination not checked with {names}" if names else ""

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
            lines.append(said_malformed(self.malformed, self.malformed_first))
        lines += [
            f"Contamination with {b.name} was not checked{_but(b)}: {b.problem}." for b in self.benchmarks if b.problem
        ]
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


def _settings(config: FilterConfig) -> dict[str, Any]:
    """The settings without paths of this machine."""
    settings = config.model_dump(mode="json")
    chosen = settings["contamination"]
    chosen["files"] = file_names([Path(file).expanduser() for file in chosen["files"]])
    chosen.pop("folder")
    if config.tags.model:
        settings["tags"]["model"] = config.tags.model.name
    settings["tokenizer"] = Path(config.tokenizer).name if Path(config.tokenizer).is_absolute() else config.tokenizer
    return settings


def _but(benchmark: CheckedBenchmark) -> str:
    return " in full" if benchmark.items else ""


def _hits(judged: Sequence[tuple[Record, Judgement]]) -> tuple[ItemHit, ...]:
    found = []
    for record, judgement in judged:
        for verdict in judgement.verdicts:
            if verdict.rule == "contamination" and verdict.details:
                found += [ItemHit(record.id, *hit) for hit in verdict.details]
    return tuple(found)


def _checked(some: BenchmarkSet, hits: Sequence[ItemHit]) -> CheckedBenchmark:
    own = {item.id for item in some.items}
    mine = [hit for hit in hits if hit.item in own]
    records, items = len({hit.record for hit in mine}), len({hit.item for hit in mine})
    return CheckedBenchmark(some.name, len(own), some.published, some.origin, records, items, some.problem)


def _benchmark_table(benchmarks: Sequence[CheckedBenchmark], hits: Sequence[ItemHit]) -> str:
    rows = [
        "## Contamination\n",
        "| benchmark | items looked for | from | records with an item | items found | not checked |",
    ]
    rows.append("|---|---:|---|---:|---:|---|")
    rows += [
        f"| {_cell(b.name)} | {b.items:,} | {_cell(b.origin)} | {b.records:,} | {b.found:,} | {_cell(b.problem)} |"
        for b in benchmarks
    ]
    if hits:
        rows += ["", "| record | item | how | share | where | the item |", "|---|---|---|---:|---|---|"]
        rows += [
            f"| {_cell(shorten(h.record))} | {_cell(h.item)} | {h.how} | {h.share:.0%} | {h.place} | {_cell(h.text)} |"
            for h in hits[:SHOWN_HITS]
        ]
    if len(hits) > SHOWN_HITS:
        rows.append(f"\nand {len(hits) - SHOWN_HITS:,} more in filter_report.json")
    return "\n".join(rows)


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
