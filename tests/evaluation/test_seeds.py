from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.comparison import Results
from synthetic_instruction_tuner.evaluation.pairs import paired
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.evaluation.seeds import over_seeds, seed_estimate


def result(values: list[float], first: int = 0, benchmark: str = "b") -> BenchmarkResult:
    items = (
        ItemResult(f"i{first + i}", ("p",), ("o",), {"score": (v,), "two": (v, 1 - v)}) for i, v in enumerate(values)
    )
    return BenchmarkResult(benchmark, "score", tuple(items))


def run(base: list[float], sft: list[float]) -> Results:
    return {("m", "base"): [result(base)], ("m", "sft"): [result(sft)]}


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.15])
def test_intervals_over_seeds_cover_the_truth(seeds: int, spread: float) -> None:
    rng, rounds, items, covered = np.random.default_rng(1), 1000, 60, 0
    for _ in range(rounds):
        level, run_level = rng.normal(0, 1, items), rng.normal(0, spread, (seeds, 1))
        found = seed_estimate(level + run_level + rng.normal(0, 0.5, (seeds, items)), np.ones(items))
        covered += abs(found.value) <= found.half_width()
    assert 0.93 <= covered / rounds <= 0.98


def test_two_seeds_that_differ_say_little() -> None:
    values = np.array([[0.0, 1.0, 0.0, 1.0] * 20, [1.0, 1.0, 0.0, 1.0] * 20])
    found = seed_estimate(values, np.ones(80))
    assert found.by_seed == (0.5, 0.75) and found.value == 0.625
    assert found.half_width() > 12 * found.seed_deviation / math.sqrt(2) > 0


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=40), st.integers(2, 4))
def test_seeds_that_answer_alike_are_one_run(values: list[float], seeds: int) -> None:
    (row, _) = over_seeds([{("m", "base"): [result(values)]}] * seeds)
    one = statistics.estimate([(v,) for v in values])
    assert row.score.seed_deviation < 1e-6 and row.score.value == pytest.approx(one.value)
    assert row.score.item_error == pytest.approx(one.standard_error) == row.score.standard_error
    assert 0 <= row.ci_low <= row.score.value + 1e-12 and row.score.value - 1e-12 <= row.ci_high <= 1


def test_the_variance_between_seeds_raises_p() -> None:
    rng = np.random.default_rng(2)
    base = [0.0, 1.0] * 50

    def runs(shares: list[float]) -> list[Results]:
        return [run(base, (rng.random(100) < share).astype(float).tolist()) for share in shares]

    alike, unlike = over_seeds(runs([0.8, 0.8, 0.8]))[2], over_seeds(runs([0.95, 0.6, 0.85]))[2]
    assert (alike.variant, alike.metric, list(alike.differences)) == ("sft", "score", ["base"])
    assert alike.differences["base"].p < 0.01 < unlike.differences["base"].p
    assert unlike.score.seed_deviation > 0.1 > alike.score.seed_deviation
    assert unlike.differences["base"].seed_deviation == pytest.approx(unlike.score.seed_deviation, abs=0.05)


def test_equal_variants_of_several_seeds_are_told_apart_once_in_twenty_times() -> None:
    rng, alarms, rounds = np.random.default_rng(3), 0, 100
    for _ in range(rounds):
        tuned = [0.5 + rng.normal(0, 0.05) for _ in range(3)]
        base = (rng.random(80) < 0.5).astype(float).tolist()
        rows = over_seeds([run(base, (rng.random(80) < share).astype(float).tolist()) for share in tuned])
        alarms += rows[2].differences["base"].p < 0.05
    assert alarms / rounds < 0.12


def test_one_run_and_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="two runs"):
        over_seeds([run([0.0], [1.0])])
    with pytest.raises(ValueError, match="different items"):
        over_seeds([{("m", "base"): [result([0.0, 1.0])]}, {("m", "base"): [result([0.0, 1.0], first=1)]}])


def test_two_sides_are_paired_on_common_items() -> None:
    ours, theirs = [0.0, 1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]
    row, second = paired({("m", "base"): [result(ours)]}, {("m", "base"): [result(theirs, first=2)]})
    assert (row.metric, row.first.n, row.only_first, row.only_second) == ("score", 3, 2, 1)
    assert row.difference.value == pytest.approx(2 / 3) and row.difference.p == statistics.mcnemar(2, 0)
    assert row.difference.p_holm == row.difference.p and second.difference.value == pytest.approx(0)
    assert {"first", "second", "difference", "p", "detectable"} <= set(row.to_json())
    assert not paired({("m", "base"): [result(ours)]}, {("m", "sft"): [result(ours)]})
    with pytest.raises(ValueError, match="no common items"):
        paired({("m", "base"): [result(ours)]}, {("m", "base"): [result(ours, first=9)]})
