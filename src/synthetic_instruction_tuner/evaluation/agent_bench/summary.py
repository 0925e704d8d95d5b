"""What came out of a set of tasks: accuracies by group, the headline, and why tasks failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The share of solved tasks.

    Attributes:
        name: which tasks.
        right: how many were solved.
        n: of how many; errors of the environment are not among them.
    """

    name: str
    right: int
    n: int

    @property
    def mean(self) -> float:
        """The share; 0 of none."""
        return self.right / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of the share's error (binomial)."""
        return self.mean * (1 - self.mean) / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What came out.

    Attributes:
        groups: an accuracy each.
        reasons: by reason of failure, how many tasks.
        broken: tasks that the environment's errors left without a result.
    """

    groups: tuple[Accuracy, ...]
    reasons: Mapping[str, int]
    broken: int

    @property
    def headline(self) -> float:
        """The mean of the groups' accuracies, which counts each group the same, however many tasks it has."""
        counted = [group for group in self.groups if group.n]
        return sum(group.mean for group in counted) / len(counted) if counted else 0.0

    @property
    def error(self) -> float:
        """The headline's standard error."""
        counted = [group for group in self.groups if group.n]
        return sqrt(sum(group.variance for group in counted)) / len(counted) if counted else 0.0

    @property
    def n(self) -> int:
        """How many tasks have a result."""
        return sum(group.n for group in self.groups)


def summarize(groups: Sequence[str], outcomes: Sequence[tuple[str, Outcome]]) -> Summary:
    """Returns the summary of outcomes, each with its task's group.

    Args:
        groups: the groups' names, in the table's order.
        outcomes: (group, outcome) of each task.
    """
    whole = [(group, outcome) for group, outcome in outcomes if outcome.end is not End.ENVIRONMENT_ERROR]
    found = []
    for name in groups:
        rights = [outcome.right for group, outcome in whole if group == name]
        found.append(Accuracy(name, sum(rights), len(rights)))
    reasons = Counter(outcome.reason for _, outcome in outcomes if outcome.reason)
    return Summary(tuple(found), dict(reasons.most_common()), len(outcomes) - len(whole))
