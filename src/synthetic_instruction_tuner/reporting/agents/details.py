"""An agent benchmark in the report: scores, how tasks ended, and where the conversations are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark
from synthetic_instruction_tuner.evaluation.agent_bench.results import REASONS, SOLVED, AgentResult, AgentResults
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.reporting.language.translation import retold, say, term

STATES = (SOLVED, *REASONS)
"""How a task ends, in the tables' order."""


@dataclass(frozen=True, slots=True)
class Ends:
    """How the tasks of one variant ended: how many in each of `STATES`, and the link to its conversations."""

    model: str
    variant: str
    counts: tuple[int, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class AgentDetails:
    """One agent benchmark.

    Attributes:
        name: the benchmark's.
        headline: its metric.
        sentences: what it is, how it was played, and what its score can be compared with.
        rows: the headline's rows of the comparison.
        groups: the kinds of tasks; none where there is only one.
        by_group: for each row, the accuracies of the groups, as rows of the comparison.
        ends: how the tasks ended, by variant.
        broken: tasks that have no result, since their environment broke twice.
    """

    name: str
    headline: str
    sentences: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]
    groups: tuple[str, ...]
    by_group: tuple[tuple[ComparisonRow | None, ...], ...]
    ends: tuple[Ends, ...]
    broken: int

    @property
    def references(self) -> list[str]:
        """The variants that others are compared with."""
        return list(dict.fromkeys(name for row in self.rows for name in row.differences))


def describe_agents(
    benchmark: AgentBenchmark, results: AgentResults, rows: Sequence[ComparisonRow], links: Mapping[str, str]
) -> AgentDetails:
    """Returns what the report shows of a benchmark.

    Args:
        benchmark: which.
        results: the agents' results by student and variant.
        rows: all of the agents' rows of the comparison.
        links: to the conversations, by ``student-variant``.
    """
    own = {key: one for key, played in results.items() for one in played if one.benchmark == benchmark.name}
    mine = [row for row in rows if row.benchmark == benchmark.name]
    heads = tuple(row for row in mine if row.headline)
    metrics = tuple(dict.fromkeys(row.metric for row in mine if not row.headline))
    cells = {(row.model, row.variant, row.metric): row for row in mine}
    ends = (_ends(model, variant, one, links) for (model, variant), one in own.items())
    return AgentDetails(
        benchmark.name,
        benchmark.headline,
        _sentences(benchmark, next(iter(own.values()))),
        heads,
        tuple(metric.removeprefix(f"{SOLVED}_") for metric in metrics),
        tuple(tuple(cells.get((row.model, row.variant, metric)) for metric in metrics) for row in heads),
        tuple(ends),
        sum(one.summary.broken for one in own.values()),
    )


def _ends(model: str, variant: str, result: AgentResult, links: Mapping[str, str]) -> Ends:
    states = result.states
    return Ends(model, variant, tuple(states[state] for state in STATES), links.get(f"{model}-{variant}", ""))


def _sentences(benchmark: AgentBenchmark, result: AgentResult) -> tuple[str, ...]:
    sizes = Counter(task.group for task in result.tasks)
    counts = ", ".join(say("{n} {group}", n=sizes[group], group=group) for group in benchmark.groups if sizes[group])
    values = {
        "n": len(result.tasks),
        "environment": retold(result.environment),
        "protocol": term(benchmark.form.protocol),
    }
    if len(benchmark.groups) > 1:
        played = say(
            "{n:,} tasks ({kinds}), played in {environment}: {protocol}. {metric} is the mean of the kinds' "
            "accuracies.",
            kinds=counts,
            metric=benchmark.headline,
            **values,
        )
    else:
        played = say("{n:,} tasks, played in {environment}: {protocol}.", **values)
    return f"{term(benchmark.title)}.", played, f"{term(benchmark.levels)} {term(benchmark.comparable)}"
