"""Rows of the comparison from agents' results: means of groups, pairs of tasks, and errors of the environment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.results import AgentResult, TaskResult, agent_rows
from synthetic_instruction_tuner.records import Message

GROUPS = ("SELECT", "INSERT", "UPDATE")
ENDS = st.sampled_from(list(End))
OUTCOMES = st.builds(lambda end, right: Outcome(end, right and end is End.COMPLETED), ENDS, st.booleans())


def result(outcomes: list[Outcome], groups: tuple[str, ...] = GROUPS) -> AgentResult:
    tasks = [
        TaskResult(f"t-{k}", groups[k % len(groups)], one, (Message("user", "q"), Message("assistant", "")), 1, 1)
        for k, one in enumerate(outcomes)
    ]
    return AgentResult("nano_db", "solved", groups, "SQLite", tuple(tasks))


@settings(max_examples=30)
@given(st.lists(OUTCOMES, min_size=1, max_size=30))
def test_what_is_written_is_read_back(outcomes: list[Outcome]) -> None:
    for task in result(outcomes).tasks:
        assert TaskResult.from_json(task.to_json()) == task


@settings(max_examples=30)
@given(st.lists(OUTCOMES, min_size=3, max_size=40))
def test_the_headline_is_the_mean_of_the_groups_and_broken_tasks_count_for_nothing(outcomes: list[Outcome]) -> None:
    one = result(outcomes)
    rows = agent_rows({("s", "dpo"): [one]})
    whole = [task for task in one.tasks if task.outcome.end is not End.ENVIRONMENT_ERROR]
    if not whole:
        assert rows == []
        return
    head, *groups = rows
    assert head.headline and head.metric == "solved" and head.n == len(whole) and not any(g.headline for g in groups)
    assert head.value == pytest.approx(sum(g.value for g in groups) / len(groups))
    assert head.ci_low <= head.value <= head.ci_high
    assert sum(g.n for g in groups) == len(whole)
    assert sum(one.states.values()) == len(outcomes)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=30))
def test_variants_are_paired_by_task(pairs: list[tuple[bool, bool]]) -> None:
    pairs = pairs[: len(pairs) // 3 * 3]  # groups of one size: McNemar's exact test
    base, dpo = (result([Outcome(End.COMPLETED, right) for right in side]) for side in zip(*pairs, strict=True))
    rows = agent_rows({("s", "base"): [base], ("s", "dpo"): [dpo]})
    (found,) = (row.differences["base"] for row in rows if row.headline and row.variant == "dpo")
    wins, losses = sum(y and not x for x, y in pairs), sum(x and not y for x, y in pairs)
    assert found.value == pytest.approx((wins - losses) / len(pairs))
    assert found.p == pytest.approx(statistics.mcnemar(wins, losses))


def test_a_task_that_broke_for_one_variant_is_left_out_of_the_comparison() -> None:
    right, broken = Outcome(End.COMPLETED, True), Outcome(End.ENVIRONMENT_ERROR, False)
    base = result([broken, right, right, right, right, right])
    dpo = result([right, right, right, broken, right, right])
    rows = agent_rows({("s", "base"): [base], ("s", "dpo"): [dpo]})
    heads = {row.variant: row for row in rows if row.headline}
    assert heads["dpo"].n == heads["base"].n == 5
    assert heads["dpo"].value == heads["base"].value == 1.0  # never the agent's failure
    assert heads["dpo"].differences["base"].value == 0.0


def test_groups_of_unequal_size_weigh_the_same() -> None:
    outcomes = [Outcome(End.COMPLETED, k == 0) for k in range(4)]  # SELECT 1 of 2, INSERT 0 of 1, UPDATE 0 of 1
    none = [Outcome(End.COMPLETED, False) for _ in range(4)]
    rows = agent_rows({("s", "base"): [result(none)], ("s", "dpo"): [result(outcomes)]})
    (row,) = (row for row in rows if row.headline and row.variant == "dpo")
    assert row.value == pytest.approx(1 / 6) and row.differences["base"].value == pytest.approx(1 / 6)
    assert not math.isnan(row.differences["base"].p)


@settings(max_examples=30)
@given(st.lists(st.tuples(ENDS, st.integers(0, 3)), min_size=3, max_size=20))
def test_tasks_with_invalid_calls_are_counted_as_unreadable(played: list[tuple[End, int]]) -> None:
    outcomes = [Outcome(end, False, invalid_calls=calls) for end, calls in played]
    counts = {row.n_unparsed for row in agent_rows({("s", "base"): [result(outcomes)]})}
    assert counts <= {sum(end is End.INVALID_ACTION or calls > 0 for end, calls in played)}
