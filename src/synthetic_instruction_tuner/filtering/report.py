"""The filter report: how many records each rule dropped, and examples of them. `report_page` is its Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import FilterConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.data_files.reading import SAID, Malformed, said_malformed
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import file_names
from synthetic_instruction_tuner.filtering.disclaimers import count_disclaimers, disclaimer_note
from synthetic_instruction_tuner.filtering.near_duplicates.rule import NearDuplicates
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rule import FilterResult, Verdict, shorten
from synthetic_instruction_tuner.records import Record


@dataclass(frozen=True)
class FunnelRow:
    """One rule's effect.

    Attributes:
        rule: the rule's name.
        records_in: records that passed all earlier rules.
        dropped: those among them that this rule drops.
        share: dropped, as a share of all records, 0..1.
        alone: records that this rule would drop if there were no other.
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
    value: float | str | None
    reason: str


@dataclass(frozen=True)
class CheckedBenchmark:
    """How many items of a benchmark were looked for and found.

    Attributes:
        name: the benchmark.
        items: its items that were available.
        published: about how many items it has, where that is known.
        origin: where they came from.
        records: records that contain an item.
        found: items that some record contains.
        problem: why it was not checked, or not in full; empty when it was.
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
        how: how it was found; see `filtering.contamination.rule`.
        share: the share of the item's words that was found, 0..1.
        place: the part of the record that contains it.
        text: the start of the item.
    """

    record: str
    item: str
    how: str
    share: float
    place: str
    text: str


@dataclass(frozen=True)
class FilterReport:
    """The filter's counts, examples and settings.

    Attributes:
        records: records checked.
        passed: records that passed every rule.
        kept: records kept, at most `filter.keep`.
        over: records that passed but are over `filter.keep`.
        malformed: input lines that are not records.
        malformed_first: where the first of them are, ``file:line``.
        funnel: one row per rule, in order.
        samples: by rule, the first records that it was the first to drop.
        settings: the rules' settings.
        settings_hash: their hash, the same on every machine.
        rules: everything that the verdicts depend on, by rule.
        rules_hash: its hash, which the records carry too.
        benchmarks: the benchmarks that were looked for.
        hits: every benchmark item found in a record.
        disclaimers: responses that have a disclaimer and answer; None, and not in the JSON file, where no rule looks.
        target: how many were wanted (``generate.until_kept``, at most `filter.keep`), each domain with its quota; None
            without a target. It is then missing in the JSON file, too.
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
    disclaimers: int | None = None
    target: int | None = None
    kind: str = field(default="filter_report", init=False)

    @classmethod
    def build(
        cls,
        records: Iterable[Record],
        results: Iterable[FilterResult],
        config: FilterConfig,
        samples: int = 3,
        malformed: Sequence[Malformed] = (),
        quality: QualityFilter | None = None,
        quotas: Mapping[str | None, int] | None = None,
    ) -> FilterReport:
        """Returns the report.

        Args:
            records: all records.
            results: the filter's result on each.
            config: the filter's settings.
            samples: examples per rule.
            malformed: input lines that are not records.
            quality: the filter, for its rules and benchmarks.
            quotas: how many records of each domain were kept at most, instead of `filter.keep` in all.
        """
        checked = list(zip(records, results, strict=True))
        passed = sum(result.passed for _, result in checked)
        kept = passed if config.keep is None else min(passed, config.keep)
        if quotas is not None:
            found = Counter(record.domain for record, result in checked if result.passed)
            kept = sum(min(found[domain], quota) for domain, quota in quotas.items())
        hits = _hits(checked)
        return cls(
            records=len(checked),
            passed=passed,
            kept=kept,
            over=passed - kept,
            funnel=_funnel(checked, config),
            samples=_samples(checked, samples),
            settings=(settings := _settings(config)),
            settings_hash=fingerprint(settings),
            malformed=len(malformed),
            malformed_first=tuple(line.place for line in malformed[:SAID]),
            rules=quality.rule_set if quality else {},
            rules_hash=quality.rule_set_hash if quality else "",
            benchmarks=tuple(_checked(some, hits) for some in quality.benchmarks) if quality else (),
            hits=hits,
            disclaimers=count_disclaimers((result for _, result in checked), config),
            target=None if quotas is None else sum(quotas.values()),
        )

    def to_json(self) -> str:
        """Returns the report as indented JSON; the same records and settings always give the same text."""
        values = asdict(self)
        for name in ("disclaimers", "target"):
            if values[name] is None:
                del values[name]
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Returns the report for people."""
        from synthetic_instruction_tuner.filtering.report_page import markdown

        return markdown(self)

    def main_reason(self) -> str:
        """Returns the rule that dropped the most records, and how many; empty when nothing was dropped."""
        most = max(self.funnel, key=lambda row: row.dropped, default=None)
        return f"most frequent reason: {most.rule} ({most.dropped:,})" if most and most.dropped else ""

    def unchecked(self) -> str:
        """Returns the benchmarks that were not checked, or not in full; empty when all were."""
        names = ", ".join(b.name if not b.items else f"parts of {b.name}" for b in self.benchmarks if b.problem)
        return f"contamination not checked with {names}" if names else ""

    def write(self, folder: Path) -> None:
        """Writes filter_report.json and filter_report.md into the folder, each whole or not at all."""
        write_text(folder / "filter_report.md", self.to_markdown())
        write_text(folder / "filter_report.json", self.to_json())

    def summary(self) -> str:
        """Returns the counts in a few sentences."""
        share = f" ({self.kept / self.records:.1%})" if self.records else ""
        dropped = self.records - self.passed
        lines = [f"Of {self.records:,} records, {self.kept:,} were kept{share} and {dropped:,} dropped."]
        if self.over:
            lines.append(f"{self.over:,} more passed every rule but are over {self._limit()}.")
        if self.disclaimers:
            lines.append(disclaimer_note(self.disclaimers, self.settings["refusal_disclaimers"]))
        if self.malformed:
            lines.append(said_malformed(self.malformed, self.malformed_first))
        lines += [
            f"Contamination with {b.name} was not checked{' in full' if b.items else ''}: {b.problem}."
            for b in self.benchmarks
            if b.problem
        ]
        return "\n".join(lines)

    def _limit(self) -> str:
        """Returns what limits the number of kept records, in words."""
        keep = self.settings["keep"]
        if self.target is None or self.target == keep:
            return f"the limit of {keep:,} (filter.keep)"
        share = "their domain's share of " if self.kept < self.target else ""
        return f"{share}the target of {self.target:,} (generate.until_kept)"


def _funnel(checked: Sequence[tuple[Record, FilterResult]], config: FilterConfig) -> tuple[FunnelRow, ...]:
    results = [result for _, result in checked]
    rules = [v.rule for v in results[0].verdicts] if results else []
    first, alone = dict.fromkeys(rules, 0), dict.fromkeys(rules, 0)
    for result in results:
        failures = [v.rule for v in result.verdicts if not v.passed]
        for rule in failures:
            alone[rule] += 1
        if failures:
            first[failures[0]] += 1
    if any(rule != NearDuplicates.name for rule, count in alone.items() if count):  # else it has been alone
        alone[NearDuplicates.name] = NearDuplicates(config.near_duplicate_threshold).count(r for r, _ in checked)
    rows, left = [], len(results)
    for rule in rules:
        rows.append(FunnelRow(rule, left, first[rule], round(first[rule] / len(results), 6), alone[rule]))
        left -= first[rule]
    return tuple(rows)


def _samples(checked: Sequence[tuple[Record, FilterResult]], most: int) -> dict[str, tuple[DroppedSample, ...]]:
    found: dict[str, list[DroppedSample]] = {}
    for record, result in checked:
        failure = result.first_failure
        if failure and len(found.setdefault(failure.rule, [])) < most:
            found[failure.rule].append(_sample(record, failure))
    order = [v.rule for v in checked[0][1].verdicts] if checked else []
    return {rule: tuple(found[rule]) for rule in order if found.get(rule)}


def _sample(record: Record, failure: Verdict) -> DroppedSample:
    instruction, reason = shorten(record.instruction, 100), shorten(failure.reason, 160)
    return DroppedSample(shorten(record.id), instruction, failure.value, reason)


def _settings(config: FilterConfig) -> dict[str, Any]:
    """The settings without paths of this machine."""
    settings = config.model_dump(mode="json")
    chosen = settings["contamination"]
    chosen["files"] = file_names([Path(file).expanduser() for file in chosen["files"]])
    chosen.pop("folder")
    chosen["match"] = config.contamination.common_match
    if config.tags.model:
        settings["tags"]["model"] = config.tags.model.name
    settings["tokenizer"] = Path(config.tokenizer).name if Path(config.tokenizer).is_absolute() else config.tokenizer
    return settings


def _hits(checked: Sequence[tuple[Record, FilterResult]]) -> tuple[ItemHit, ...]:
    verdicts = ((record.id, verdict) for record, result in checked for verdict in result.verdicts)
    found = ((name, verdict.details or ()) for name, verdict in verdicts if verdict.rule == "contamination")
    return tuple(ItemHit(name, *hit) for name, hits in found for hit in hits)


def _checked(some: BenchmarkSet, hits: Sequence[ItemHit]) -> CheckedBenchmark:
    own = {item.id for item in some.items}
    mine = [hit for hit in hits if hit.item in own]
    records, items = len({hit.record for hit in mine}), len({hit.item for hit in mine})
    return CheckedBenchmark(some.name, len(own), some.published, some.origin, records, items, some.problem)
