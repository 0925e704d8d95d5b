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
SHOWN = 3  # rules that are named of those that a domain's records fail


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

        One line says how it ended, one per domain that is short what its records fail, and the last ones what helps.
        """
        if self.passed >= self.wanted:
            return ""
        short = [(name, domain) for name, domain in self.domains.items() if domain.passed < domain.quota]
        helps = [self._more_needed(), *(_what_helps(domain) for _, domain in short)]
        obstacles = [self._obstacles(name, domain) for name, domain in short]
        return "\n".join([f"{self._outcome()}.", *obstacles, *dict.fromkeys(filter(None, reversed(helps)))])

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
        said = " ".join(self.explanation().splitlines()).rstrip(".")  # part of a sentence of the report
        return {"wanted": self.wanted, "made": self.made, "domains": domains, "explanation": said}

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
        """What a domain's records fail."""
        found = [f"{domain.passed:,} of {domain.quota:,} pass"] if len(self.domains) > 1 else []
        if domain.stopped_early:
            window = len(domain.latest)
            found.append(f"only {domain.latest.count(None):,} of the latest {window:,} pass")
        rules = _by_rule(domain.failures).most_common()
        others = sum(count for _, count in rules[SHOWN:])
        shown = ", ".join(f"{rule} ({n:,})" for rule, n in rules[:SHOWN]) + (f", others ({others:,})" if others else "")
        found += [f"of {domain.made:,} written, {domain.failures.total():,} fail: {shown}"] if rules else []
        lead = f"{_sentence(_who(name))}: " if len(self.domains) > 1 else ""
        return f"{lead}{_sentence('; '.join(found))}."

    def _more_needed(self) -> str:
        """The advice to write more, where that was the limit and it would help."""
        going = [domain for domain in self.domains.values() if domain.missing]
        if not any(domain.passed or not domain.failures for domain in going):
            return ""
        more = sum(math.ceil(SPARE * domain.missing / domain.expected) for domain in going)
        return f"To write more, raise generate.count to about {self.made + more:,}."


def _who(name: str | None) -> str:
    return f"domain {name}" if name else "the model's own mix"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_rule(failures: Counter[Failure]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for failure, count in failures.items():
        counts[failure.rule] += count
    return counts


def _what_helps(domain: _DomainProgress) -> str:
    """The advice for the rule that most of a domain's records fail, as it applies to most of those."""
    found = Counter(failure for failure in domain.latest if failure) if domain.stopped_early else domain.failures
    for rule, _ in _by_rule(found).most_common(1):
        advice = max((f for f in found if f.rule == rule), key=lambda failure: found[failure]).advice
        return f"What helps for {rule}: {advice}."
    return ""
