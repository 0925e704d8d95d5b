"""Writing until enough records pass: what the next batch is, when it is over, and why.

What comes next depends only on what was written and how it was judged before, never on time or on interruptions.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from synthetic_instruction_tuner.config import FilterConfig, GenerateConfig
from synthetic_instruction_tuner.data_generation.plan import Place, domain_shares, places
from synthetic_instruction_tuner.data_generation.quotas import apportion, interleave
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rule import FilterResult, TextRule
from synthetic_instruction_tuner.records import Record

SPARE = 1.1  # records written per record that the yield says is needed


class Judge:
    """The quality filter, batch by batch: what it says of a record depends on those before it.

    Rules that need a model of their own say nothing here; they are for the filter's stage.

    Attributes:
        later: the names of those rules.
    """

    def __init__(self, config: FilterConfig, benchmarks: Sequence[BenchmarkSet] | None = None) -> None:
        rules = QualityFilter(config, benchmarks)
        self.later = [rule.name for rule in rules.rules if not isinstance(rule, TextRule)]
        rules.rules = [rule for rule in rules.rules if isinstance(rule, TextRule)]
        self._waiting = _Waiting()
        self._judgements = rules.check(self._waiting)

    def __call__(self, records: Sequence[Record]) -> list[FilterResult]:
        """Returns the judgements on the next records."""
        self._waiting.extend(records)
        return [next(self._judgements) for _ in records]


class _Waiting(deque[Record]):
    """Records that wait to be judged. Its iterator ends where they do, and goes on when more have come."""

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        if not self:
            raise StopIteration
        return self.popleft()


@dataclass(slots=True)
class _Tally:
    """One domain's numbers: how many are wanted, written, kept, and what became of the latest ones."""

    quota: int
    latest: deque[str]
    made: int = 0
    kept: int = 0
    gave_up: bool = False
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        return 0 if self.gave_up else max(0, self.quota - self.kept)

    @property
    def expected(self) -> float:
        """The share that will pass; one half before anything is known."""
        return (self.kept + 1) / (self.made + 2)


class Target:
    """Goes on until `until_kept` records pass the filter, each domain with its quota of them.

    Args:
        config: the goal, the domains, and when to give up.
        rules: the filter's settings.
        benchmarks: items that no record may hold; when None, those that the settings name and this machine has.
    """

    def __init__(
        self, config: GenerateConfig, rules: FilterConfig, benchmarks: Sequence[BenchmarkSet] | None = None
    ) -> None:
        self.config, self._judge = config, Judge(rules, benchmarks)
        self.goal = config.until_kept or 0
        quotas = apportion(self.goal, domain_shares(config))
        self.tallies = {name: _Tally(n, deque(maxlen=config.patience)) for name, n in quotas.items()}

    @property
    def made(self) -> int:
        """Records written so far."""
        return sum(tally.made for tally in self.tallies.values())

    @property
    def kept(self) -> int:
        """Records that passed, those beyond a domain's quota not counted."""
        return sum(min(tally.kept, tally.quota) for tally in self.tallies.values())

    def next_batch(self) -> list[Place]:
        """Returns the places of the next batch's records; an empty list when it is over."""
        needed = {name: t.missing / t.expected for name, t in self.tallies.items() if t.missing}
        size = min(self.config.batch, self.config.count - self.made, math.ceil(SPARE * sum(needed.values())))
        if not needed or size <= 0:
            return []
        return places(interleave(apportion(size, needed)), {name: t.made for name, t in self.tallies.items()})

    def take(self, records: Sequence[Record]) -> int:
        """Judges a batch; returns how many of it count towards the goal."""
        before = self.kept
        for record, judgement in zip(records, self._judge(records), strict=True):
            tally, failure = self.tallies[record.domain], judgement.first_failure
            tally.made += 1
            tally.kept += failure is None
            if failure is not None:
                tally.failures[failure.rule] += 1
            tally.latest.append(failure.rule if failure else "")
        for tally in self.tallies.values():
            window = len(tally.latest)
            if window == self.config.patience and tally.latest.count("") < self.config.exhausted_below * window:
                tally.gave_up = tally.missing > 0 or tally.gave_up
        return self.kept - before

    def yield_note(self) -> str:
        """Returns the share that passes, in words."""
        passed = sum(tally.kept for tally in self.tallies.values())
        return f"{self.made:,} written, {passed / self.made:.0%} pass" if self.made else ""

    def explanation(self) -> str:
        """Returns why it ended before the goal; empty when the goal is reached."""
        if self.kept >= self.goal:
            return ""
        given_up = [(name, tally) for name, tally in self.tallies.items() if tally.gave_up]
        reasons = [_given_up(name, tally, len(self.tallies) > 1) for name, tally in given_up]
        if self.made >= self.config.count:
            failures: Counter[str] = sum((tally.failures for tally in self.tallies.values()), Counter())
            worst = f"; most fail for {failures.most_common(1)[0][0]}" if failures else ""
            reasons.append(f"generate.count ({self.config.count:,}) are written{worst}; raise it to go on")
        return f"{self.kept:,} of the {self.goal:,} wanted records pass: " + "; ".join(reasons)

    def summary(self) -> str:
        """Returns how it ended, and which of the filter's rules may still drop what passes here."""
        ended = self.explanation() or f"{self.kept:,} pass the filter"
        later = " and ".join(self._judge.later)
        return f"{ended} (not yet judged: {later})" if later else ended

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values for the store."""
        domains = {
            name or "": {"quota": t.quota, "made": t.made, "kept": t.kept, "gave_up": t.gave_up}
            for name, t in self.tallies.items()
        }
        return {"goal": self.goal, "made": self.made, "domains": domains, "explanation": self.explanation()}


def _given_up(name: str | None, tally: _Tally, named: bool) -> str:
    who = f"domain {name}" if name else "the model's own mix"
    lead = f"{who} is given up: " if named else ""
    window = len(tally.latest)
    rule, count = Counter(rule for rule in tally.latest if rule).most_common(1)[0]
    found = f"{lead}only {tally.latest.count('') / window:.1%} of the latest {window:,} pass"
    if rule == "near_duplicates":
        return (
            f"{found}, {count / window:.0%} are near-duplicates of earlier ones: diversity is exhausted (raise "
            "instruction.temperature, add domains or topics, or use a larger generator)"
        )
    return f"{found}, {count / window:.0%} fail for {rule} (see the filter's settings)"
