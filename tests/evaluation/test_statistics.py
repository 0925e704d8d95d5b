from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthetic_instruction_tuner.evaluation import statistics

scores = st.lists(st.floats(-5, 5), min_size=2, max_size=30)
bits = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)


def single(values: list[float]) -> list[tuple[float]]:
    return [(v,) for v in values]


@given(scores)
def test_clusters_of_one_give_the_usual_standard_error(values: list[float]) -> None:
    found = statistics.estimate(single(values))
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert found.standard_error == pytest.approx(stats.sem(values), abs=1e-9)


@given(scores)
def test_repeating_each_observation_in_its_cluster_adds_no_information(values: list[float]) -> None:
    once, thrice = statistics.estimate(single(values)), statistics.estimate([(v, v, v) for v in values])
    assert thrice.standard_error == pytest.approx(once.standard_error, abs=1e-9)
    assert (thrice.n, thrice.clusters) == (3 * once.n, once.clusters)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_agrees_with_scipy(hits: int, n: int) -> None:
    hits = min(hits, n)
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert statistics.wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    right = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert statistics.mcnemar(wins, losses) == pytest.approx(right)
    assert statistics.mcnemar(losses, wins) == statistics.mcnemar(wins, losses)


@given(scores)
@settings(max_examples=10)
def test_identical_models_do_not_differ(values: list[float]) -> None:
    found = statistics.compare(single(values), single(values))
    assert (found.value, found.standard_error, found.p) == (0.0, 0.0, 1.0)


@given(st.data(), scores)
@settings(max_examples=10)
def test_swapping_the_models_changes_only_the_sign(data: st.DataObject, ours: list[float]) -> None:
    theirs = data.draw(st.lists(st.floats(-5, 5), min_size=len(ours), max_size=len(ours)))
    one, other = statistics.compare(single(ours), single(theirs)), statistics.compare(single(theirs), single(ours))
    assert one.value == -other.value
    assert one.p == other.p
    assert one.standard_error == pytest.approx(other.standard_error)


def test_sign_flip_agrees_with_the_t_test_on_normal_data() -> None:
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.1, 0.25):
        differences = rng.normal(shift, 1, 200)
        exact = stats.ttest_1samp(differences, 0).pvalue
        assert statistics.sign_flip(differences) == pytest.approx(exact, abs=0.02)


def test_sign_flip_equals_full_enumeration_on_few_differences() -> None:
    differences = np.array([1.0, 2.0, -0.5, 3.0, 0.25])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
    exact = (np.abs(signs @ differences) >= differences.sum() - 1e-9).mean()
    assert statistics.sign_flip(differences) == pytest.approx(exact, abs=0.01)


def noisy(rng: np.random.Generator) -> list[list[float]]:
    """Returns 60 conversations of two turns that share a level; the true mean is 0."""
    values = rng.normal(0, 1, (60, 1)) + rng.normal(0, 1, (60, 2))
    return values.tolist()


def test_intervals_of_clustered_scores_cover_the_truth() -> None:
    rng, rounds = np.random.default_rng(2), 2000
    found = [statistics.estimate(noisy(rng)) for _ in range(rounds)]
    assert 0.93 < sum(f.low <= 0 <= f.high for f in found) / rounds < 0.96


def test_equal_models_are_told_apart_once_in_twenty_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "FLIPS", statistics.FLIPS_AT_ONCE)
    rng, rounds = np.random.default_rng(3), 400
    alarms = sum(statistics.compare(noisy(rng), noisy(rng)).p < 0.05 for _ in range(rounds))
    assert 0.02 < alarms / rounds < 0.09


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_only_raises_p_values_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = statistics.holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    assert min(corrected) == min(1.0, len(p_values) * min(p_values))
    ranked = [corrected[i] for i in np.argsort(p_values, kind="stable")]
    assert ranked == sorted(ranked)


def test_holm_example_of_the_method() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(bits)
def test_binary_scores_get_an_interval_inside_zero_and_one(values: list[float]) -> None:
    found = statistics.estimate(single(values))
    assert 0 <= found.low <= found.value + 1e-12 and found.value - 1e-12 <= found.high <= 1


def test_detectable_effect_is_found_four_times_in_five() -> None:
    effect = statistics.minimal_detectable_effect(1.0)
    power = stats.norm.sf(statistics.NORMAL_975 - effect)
    assert power == pytest.approx(0.8, abs=1e-3)


def test_one_cluster_has_no_standard_error_and_no_items_are_an_error() -> None:
    assert math.isnan(statistics.estimate([(0.5, 0.7)]).standard_error)
    with pytest.raises(ValueError, match="no observations"):
        statistics.estimate([])
    with pytest.raises(ValueError, match="same items"):
        statistics.compare([(1.0,)], [(1.0, 0.0)])
