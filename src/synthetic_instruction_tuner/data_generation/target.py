"""Generating until enough records pass the filter: what the next batch is, when to stop, and why.

What comes next depends only on the records before it and which of them passed, never on time or on interruptions.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.data_generation.plan import Place, apportion, domain_shares, interleave, places
from synthetic_instruction_tuner.records import Record

SPARE = 1.1  # records written per record that the yield says is needed


class RecordCheck(Protocol):
    """What decides which records count; in a run the quality filter, see `run.stages.batch_filter`."""

    @property
    def later(self) -> tuple[str, ...]:
        """Names of the rules that are left to a later stage."""

    @property
    def duplicate_rule(self) -> str:
        """Name of the rule that near duplicates fail."""

    def failed_rules(self, records: Sequence[Record]) -> list[str | None]:
        """Returns for each of the next records the first rule that it fails, or None where it passes."""


@dataclass(slots=True)
class _DomainProgress:
    """One domain's numbers: how many are wanted, written, passed, and the outcome of the latest ones."""

    quota: int
    latest: deque[str]
    made: int = 0
    passed: int = 0
    stopped_early: bool = False
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        return 0 if self.stopped_early else max(0, self.quota - self.passed)

    @property
    def expected(self) -> float:
        """The expected pass rate; one half before anything is known."""
        return (self.passed + 1) / (self.made + 2)


class Target:
    """Decides what to write until `until_kept` records pass the filter, each domain with its quota of them.

    Args:
        config: how many records, the domains, and when to stop early.
        check: decides which records pass.
    """

    def __init__(self, config: GenerateConfig, check: RecordCheck) -> None:
        self.config, self._check = config, check
        self.wanted = config.until_kept or 0
        quotas = apportion(self.wanted, domain_shares(config))
        self.domains = {name: _DomainProgress(n, deque(maxlen=config.patience)) for name, n in quotas.items()}

    @property
    def made(self) -> int:
        """Records written so far."""
        return sum(domain.made for domain in self.domains.values())

    @property
    def passed(self) -> int:
        """Records that passed, without those beyond a domain's quota."""
        return sum(min(domain.passed, domain.quota) for domain in self.domains.values())

    def next_batch(self) -> list[Place]:
        """Returns the places of the next batch's records; an empty list at the end."""
        needed = {name: t.missing / t.expected for name, t in self.domains.items() if t.missing}
        size = min(self.config.batch, self.config.count - self.made, math.ceil(SPARE * sum(needed.values())))
        if not needed or size <= 0:
            return []
        return places(interleave(apportion(size, needed)), {name: t.made for name, t in self.domains.items()})

    def take(self, records: Sequence[Record]) -> int:
        """Checks a batch; returns how many of its records count towards the target."""
        before = self.passed
        for record, failed in zip(records, self._check.failed_rules(records), strict=True):
            domain = self.domains[record.domain]
            domain.made += 1
            domain.passed += failed is None
            if failed is not None:
                domain.failures[failed] += 1
            domain.latest.append(failed or "")
        for domain in self.domains.values():
            window = len(domain.latest)
            if window == self.config.patience and domain.latest.count("") < self.config.exhausted_below * window:
                domain.stopped_early = domain.missing > 0 or domain.stopped_early
        return self.passed - before

    def yield_note(self) -> str:
        """Returns the pass rate, in words."""
        passed = sum(domain.passed for domain in self.domains.values())
        return f"{self.made:,} written, {passed / self.made:.0%} pass" if self.made else ""

    def explanation(self) -> str:
        """Returns why it ended early; empty when enough records passed."""
        if self.passed >= self.wanted:
            return ""
        stopped = [(name, domain) for name, domain in self.domains.items() if domain.stopped_early]
        reasons = [self._why_stopped(name, domain) for name, domain in stopped]
        if self.made >= self.config.count:
            failures: Counter[str] = sum((domain.failures for domain in self.domains.values()), Counter())
            worst = f"; most fail for {failures.most_common(1)[0][0]}" if failures else ""
            reasons.append(f"generate.count ({self.config.count:,}) has been reached{worst}; raise it to continue")
        return f"{self.passed:,} of the {self.wanted:,} wanted records pass: " + "; ".join(reasons)

    def summary(self) -> str:
        """Returns how it ended, and which of the filter's rules may still drop what passes here."""
        ended = self.explanation() or f"{self.passed:,} pass the filter"
        later = " and ".join(self._check.later)
        return f"{ended} (not yet checked: {later})" if later else ended

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values for the store."""
        domains = {
            name or "": {"quota": t.quota, "made": t.made, "passed": t.passed, "stopped_early": t.stopped_early}
            for name, t in self.domains.items()
        }
        return {"wanted": self.wanted, "made": self.made, "domains": domains, "explanation": self.explanation()}

    def _why_stopped(self, name: str | None, domain: _DomainProgress) -> str:
        who = f"domain {name}" if name else "the model's own mix"
        lead = f"{who} stopped early: " if len(self.domains) > 1 else ""
        window = len(domain.latest)
        rule, count = Counter(rule for rule in domain.latest if rule).most_common(1)[0]
        found = f"{lead}only {domain.latest.count('') / window:.1%} of the latest {window:,} pass"
        if rule == self._check.duplicate_rule:
            return (
                f"{found}, {count / window:.0%} are near duplicates of earlier ones: the generator's diversity is "
                "exhausted (raise instruction.temperature, add domains or topics, or use a larger generator)"
            )
        return f"{found}, {count / window:.0%} fail for {rule} (see the filter's settings)"
