"""What one variant did on the tasks of an agent benchmark, and how variants compare.

Rows are those of the comparison of all benchmarks. The headline is the mean of the groups' accuracies; two variants are
compared on the tasks that have a result of both, by McNemar's exact test where all groups have the same number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from synthetic_instruction_tuner.evaluation import comparison, statistics
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import TOOLS, End, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played
from synthetic_instruction_tuner.evaluation.agent_bench.summary import Summary, summarize
from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.records import Message

SOLVED = "solved"
REASONS = ("wrong answer", "invalid action", "task limit", "context overflow", "environment error")
"""Why tasks fail, in the tables' order; the last is no fault of the agent's."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task that has been played to its end.

    Attributes:
        id, group: the task's.
        outcome: how it went.
        messages: the whole conversation.
        turns: how many of the messages the agent has written.
        empty: how many of these say nothing.
    """

    id: str
    group: str
    outcome: Outcome
    messages: tuple[Message, ...]
    turns: int
    empty: int

    @classmethod
    def of(cls, id: str, group: str, played: Played) -> TaskResult:
        """Returns the result of a conversation that has ended."""
        assert played.outcome is not None
        empty = sum(not text.strip() for text in played.turns)
        return cls(id, group, played.outcome, tuple(played.messages), len(played.turns), empty)

    @property
    def by_tools(self) -> bool:
        """Whether the agent was offered tools: then the conversation begins with them."""
        return bool(self.messages) and self.messages[0].role == TOOLS

    @property
    def state(self) -> str:
        """``solved``, or one of `REASONS`."""
        return self.outcome.reason or SOLVED

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_json` makes an equal result."""
        messages = [{"role": m.role, "content": m.content} for m in self.messages]
        own = {"task": self.id, "group": self.group, "state": self.state, "turns": self.turns, "empty": self.empty}
        return own | {"outcome": self.outcome.to_json(), "messages": messages}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> TaskResult:
        """Returns the result that `to_json` wrote."""
        messages = tuple(Message(m["role"], m["content"]) for m in row["messages"])
        outcome = Outcome.from_json(row["outcome"])
        return cls(row["task"], row["group"], outcome, messages, row["turns"], row["empty"])


@dataclass(frozen=True, slots=True)
class AgentResult:
    """All tasks of one benchmark, played by one variant.

    Attributes:
        benchmark: its name.
        headline: the metric by which variants are compared.
        groups: the kinds of tasks, in the tables' order.
        environment: where the tasks were played.
        tasks: their results, in the benchmark's order.
    """

    benchmark: str
    headline: str
    groups: tuple[str, ...]
    environment: str
    tasks: tuple[TaskResult, ...]

    @classmethod
    def of(cls, benchmark: AgentBenchmark, environment: str, tasks: Sequence[TaskResult]) -> AgentResult:
        """Returns the result of tasks, under the names of the form in which they were played."""
        by_tools = any(task.by_tools for task in tasks)
        played = benchmark.with_tools() if by_tools else benchmark
        return cls(played.name, played.headline, played.groups, environment, tuple(tasks))

    @property
    def summary(self) -> Summary:
        """The accuracies, and why tasks failed."""
        return summarize(self.groups, [(task.group, task.outcome) for task in self.tasks])

    @property
    def states(self) -> Counter[str]:
        """How many tasks were solved, or failed for each reason."""
        return Counter(task.state for task in self.tasks)


AgentResults = Mapping[tuple[str, str], Sequence[AgentResult]]
"""The agent benchmarks' results by student and variant."""


def agent_rows(results: AgentResults) -> list[ComparisonRow]:
    """Returns a row for each student, variant, benchmark and metric, the headline first.

    Holm's correction is over these rows: agents are a family of tests of their own.
    """
    by_key = {(*key, one.benchmark): one for key, own in results.items() for one in own}
    rows = []
    for (model, variant, name), ours in by_key.items():
        others = {ref: by_key.get((model, ref, name)) for ref in REFERENCES if variant not in (BASE, ref)}
        for row in _rows(model, variant, ours):
            group = row.metric.removeprefix(f"{SOLVED}_") if not row.headline else None
            found = {ref: _difference(ours, other, group) for ref, other in others.items() if other}
            rows.append(replace(row, differences={ref: one for ref, one in found.items() if one}))
    return comparison.corrected(rows)


def _rows(model: str, variant: str, result: AgentResult) -> list[ComparisonRow]:
    summary, states = result.summary, result.states
    counts: dict[str, Any] = {
        "n_truncated": states["task limit"] + states["context overflow"],
        "n_empty": sum(task.empty > 0 for task in result.tasks),
        "n_unparsed": sum(task.state == "invalid action" or task.outcome.invalid_calls > 0 for task in result.tasks),
    }

    def row(metric: str, value: float, error: float, n: int, headline: bool) -> ComparisonRow:
        low, high = _interval(value, error, n)
        own = (model, variant, result.benchmark, metric, headline, value, error, low, high, n, n)
        return ComparisonRow(*own, **counts)

    found = [row(result.headline, summary.headline, summary.error, summary.n, True)] if summary.n else []
    groups = [group for group in summary.groups if group.n and len(summary.groups) > 1]
    return found + [row(f"{SOLVED}_{g.name}", g.mean, math.sqrt(g.variance), g.n, False) for g in groups]


def _interval(value: float, error: float, n: int) -> tuple[float, float]:
    """Wilson's interval, with the number of tasks that a plain share with this error would have."""
    worth = value * (1 - value) / error**2 if error and 0 < value < 1 else float(n)
    return statistics.wilson(value * worth, worth)


def _difference(ours: AgentResult, theirs: AgentResult, group: str | None) -> Difference | None:
    """Compares two variants on the tasks that have a result of both; None where there are none."""
    pairs = _paired(ours, theirs, group)
    if not pairs:
        return None
    sizes = Counter(one.group for one, _ in pairs)
    weights = {name: len(pairs) / (len(sizes) * n) for name, n in sizes.items()}
    left, right = ([(one.outcome.right * weights[one.group],) for one in side] for side in zip(*pairs, strict=True))
    return statistics.compare(left, right, len(set(sizes.values())) == 1)


def _paired(ours: AgentResult, theirs: AgentResult, group: str | None) -> list[tuple[TaskResult, TaskResult]]:
    known = {task.id: task for task in theirs.tasks if task.outcome.end is not End.ENVIRONMENT_ERROR}
    mine = (task for task in ours.tasks if task.outcome.end is not End.ENVIRONMENT_ERROR)
    return [(task, known[task.id]) for task in mine if task.id in known and group in (None, task.group)]
