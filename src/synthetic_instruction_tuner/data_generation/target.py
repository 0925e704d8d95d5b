"""Generating until enough records pass the filter: what the next batch is, when to stop, and why.

What comes next depends only on the records before it and which of them passed, never on time or on interruptions.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.data_generation.plan import Place, apportion, domain_shares, interleave, places
from synthetic_instruction_tuner.records import Record

SPARE = 1.1  # records written per record that the yield says is needed


class Failure(NamedTuple):
    """Why a record does not pass: the first rule that it fails, and what to change so that fewer fail like it."""

    rule: str
    advice: str


class RecordCheck(Protocol):
    """What decides which records count; in a run the quality filter, see `run.stages.batch_filter`."""

    @property
    def later(self) -> tuple[str, ...]:
        """Names of the rules that are left to a later stage."""

    def failures(self, records: Sequence[Record]) -> list[Failure | None]:
        """Returns for each of the next records why it fails, or None where it passes."""


@dataclass(slots=True)
class _DomainProgress:
    """One domain's numbers: how many are wanted, written, passed, and why the latest ones and all others failed."""

    quota: int
    latest: deque[Failure | None]
    made: int = 0
    passed: int = 0
    stopped_early: bool = False
    failures: Counter[Failure] = field(default_factory=Counter)

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
        for record, failure in zip(records, self._check.failures(records), strict=True):
            domain = self.domains[record.domain]
            domain.made += 1
            domain.passed += failure is None
            if failure is not None:
                domain.failures[failure] += 1
            domain.latest.append(failure)
        for domain in self.domains.values():
            window = len(domain.latest)
            if window == self.config.patience and domain.latest.count(None) < self.config.exhausted_below * window:
                domain.stopped_early = domain.missing > 0 or domain.stopped_early
        return self.passed - before

    def yield_note(self) -> str:
        """Returns the pass rate, in words."""
        passed = sum(domain.passed for domain in self.domains.values())
        return f"{self.made:,} written, {passed / self.made:.0%} pass" if self.made else ""

    def explanation(self) -> str:
        """Returns why it ended early, which rules stand in the way, and what helps; empty when enough records passed.

        One sentence says how it ended, then there is one paragraph, on a line of its own, per domain that is short.
        """
        if self.passed >= self.wanted:
            return ""
        short = {name: domain for name, domain in self.domains.items() if domain.passed < domain.quota}
        return "\n".join([f"{self._outcome()}.", *(self._obstacles(*item) for item in short.items())])

    def summary(self) -> str:
        """Returns how it ended in a few words, and which of the filter's rules may still drop what passes here."""
        beyond = sum(max(0, domain.passed - domain.quota) for domain in self.domains.values())
        ended = self._outcome() if self.passed < self.wanted else f"{self._count()} pass"
        if self.passed < self.wanted:
            failures = _by_rule(sum((domain.failures for domain in self.domains.values()), Counter()))
            ended += "".join(f"; most fail for {rule} ({n:,} of {self.made:,})" for rule, n in failures.most_common(1))
        later = " and ".join(self._check.later)
        more = [f"{beyond:,} pass beyond the target"] if beyond else []
        return "; ".join([ended, *more, *([f"not yet checked: {later}"] if later else [])])

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values for the store; what passes beyond a domain's quota is counted by itself."""
        domains = {
            name or "": {
                "quota": t.quota,
                "made": t.made,
                "passed": min(t.passed, t.quota),
                "beyond": max(0, t.passed - t.quota),
                "stopped_early": t.stopped_early,
                "failures": dict(_by_rule(t.failures).most_common()),
            }
            for name, t in self.domains.items()
        }
        return {"wanted": self.wanted, "made": self.made, "domains": domains, "explanation": self.explanation()}

    def _count(self) -> str:
        return f"{self.passed:,} of the {self.wanted:,} wanted records"

    def _outcome(self) -> str:
        """How many pass, and what ended the writing."""
        stopped = [name for name, domain in self.domains.items() if domain.stopped_early]
        ends = [f"{_who(name)} stopped early" for name in stopped] if len(self.domains) > 1 else []
        if len(self.domains) == 1 and stopped:
            ends = ["stopped early because too few of the latest pass"]
        if self.made >= self.config.count:
            ends.append(f"generate.count ({self.config.count:,}) has been reached")
        return f"{self._count()} pass: {', '.join(ends)}"

    def _obstacles(self, name: str | None, domain: _DomainProgress) -> str:
        """What stands in the way of one domain, and what helps."""
        lead = f"{_sentence(_who(name))}: " if len(self.domains) > 1 else ""
        found = [f"{domain.passed:,} of {domain.quota:,} pass"] if lead else []
        if domain.stopped_early:
            window = len(domain.latest)
            found.append(f"only {domain.latest.count(None):,} of the latest {window:,} pass")
        failures = Counter(failure for failure in domain.latest if failure) if domain.stopped_early else domain.failures
        rules = ", ".join(f"{rule} ({n:,})" for rule, n in _by_rule(domain.failures).most_common(3))
        found += [f"of {domain.made:,} written, {domain.failures.total():,} fail: {rules}"] if rules else []
        return f"{lead}{_sentence('; '.join(found))}. {_what_helps(failures, self._more_needed(domain))}"

    def _more_needed(self, domain: _DomainProgress) -> str:
        """The advice to write more, where that was the limit."""
        if domain.stopped_early:
            return ""
        if not domain.passed:
            return "raise generate.count"
        enough = sum(d.made + math.ceil(SPARE * max(0, d.quota - d.passed) / d.expected) for d in self.domains.values())
        return f"raise generate.count to about {max(enough, self.config.count + 1):,}"


def _who(name: str | None) -> str:
    return f"domain {name}" if name else "the model's own mix"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_rule(failures: Counter[Failure]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for failure, count in failures.items():
        counts[failure.rule] += count
    return counts


def _what_helps(failures: Counter[Failure], more: str) -> str:
    """The advice for the rule that most fail, as it applies to most of them, and the one to write more."""
    most = _by_rule(failures).most_common(1)
    if not most:
        return f"{_sentence(more)}." if more else ""
    rule = most[0][0]
    chosen = max((f for f in failures if f.rule == rule), key=lambda failure: failures[failure]).advice
    return f"What helps for {rule}: {chosen}." + (f" Or {more}." if more else "")
