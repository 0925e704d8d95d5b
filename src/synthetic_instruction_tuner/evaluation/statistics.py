"""Standard errors, intervals and paired tests for benchmark scores; pure functions of numbers.

Follows Miller (2024, arXiv:2411.00640): observations that share an item (the rules of one prompt, the turns of one
conversation) are a cluster, and two models are compared on the same items. A *cluster* here is a sequence of
observations; a benchmark's score is the mean over all observations of all clusters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Clusters = Sequence[Sequence[float]]

NORMAL_975 = 1.959963984540054  # 97.5 % point of the normal distribution
NORMAL_80 = 0.8416212335729143  # 80 % point
FLIPS = 20_000
FLIPS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its clustered standard error and 95 % interval; `n` observations in `clusters` clusters."""

    value: float
    standard_error: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference.

    Attributes:
        value: its mean.
        standard_error: its clustered standard error; nan where there are fewer than two clusters.
        p: the two-sided p-value of the paired test.
        p_holm: the same, corrected for all tests that were made together (`holm`); None before that.
    """

    value: float
    standard_error: float
    p: float
    p_holm: float | None = None

    @property
    def detectable(self) -> float:
        """The smallest difference that the same items would show, as in `minimal_detectable_effect`."""
        return minimal_detectable_effect(self.standard_error)


def estimate(clusters: Clusters) -> Estimate:
    """Returns the mean of all observations with its error; a Wilson interval when every cluster is one 0 or 1.

    Raises:
        ValueError: there are no observations.
    """
    sums, sizes = _sums(clusters)
    n = int(sizes.sum())
    mean = float(sums.sum() / n)
    error = clustered_error(sums, sizes)
    if _is_binary(clusters):
        low, high = wilson(round(sums.sum()), n)
    else:
        low, high = mean - NORMAL_975 * error, mean + NORMAL_975 * error
    return Estimate(mean, error, low, high, n, len(sums))


def clustered_error(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Returns the standard error of ``sum(sums) / sum(sizes)`` over independent clusters.

    With clusters of one observation it is the usual s / sqrt(n). It is nan for fewer than two clusters.
    """
    count = len(sums)
    if count < 2:
        return math.nan
    residuals = sums - sizes * (sums.sum() / sizes.sum())
    return float(math.sqrt(count / (count - 1) * (residuals**2).sum()) / sizes.sum())


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a proportion (Wilson 1927); unlike mean ± 2 SE it is right near 0 and 1."""
    z2 = NORMAL_975**2
    share = successes / n
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL_975 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)


def compare(ours: Clusters, theirs: Clusters) -> Difference:
    """Returns ours minus theirs, paired by cluster.

    The test is McNemar's exact one where every cluster is a single 0 or 1, else a sign-flip permutation test on the
    clusters' sums.

    Raises:
        ValueError: the clusters do not have the same sizes.
    """
    (our_sums, sizes), (their_sums, their_sizes) = _sums(ours), _sums(theirs)
    if not np.array_equal(sizes, their_sizes):
        raise ValueError("paired comparison needs the same items on both sides")
    differences = our_sums - their_sums
    if _is_binary(ours) and _is_binary(theirs):
        p = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
    else:
        p = sign_flip(differences)
    return Difference(float(differences.sum() / sizes.sum()), clustered_error(differences, sizes), p)


def mcnemar(wins: int, losses: int) -> float:
    """Returns the exact two-sided p-value that wins and losses are equally likely (McNemar 1947, binomial form)."""
    n, extreme = wins + losses, max(wins, losses)
    tail = sum(math.comb(n, k) for k in range(extreme, n + 1))
    return min(1.0, float(2 * tail / 2**n))


def sign_flip(differences: NDArray[np.float64], seed: int = 0) -> float:
    """Returns the two-sided p-value that the differences are symmetric around 0, from `FLIPS` random sign flips.

    The observed signs count as one of the flips, so the p-value is never below 1 / (FLIPS + 1) (Phipson & Smyth 2010).
    """
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    observed = abs(differences.sum())
    slack = 1e-12 * np.abs(differences).sum()  # sums in another order differ in the last bits
    rng, as_extreme = np.random.default_rng(seed), 0
    for _ in range(FLIPS // FLIPS_AT_ONCE):
        signs = rng.integers(0, 2, (FLIPS_AT_ONCE, len(differences)), dtype=np.int8) * 2.0 - 1.0
        as_extreme += int((np.abs(signs @ differences) >= observed - slack).sum())
    return (as_extreme + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for their number (Holm 1979), in the given order."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def minimal_detectable_effect(standard_error: float) -> float:
    """Returns the true difference that a two-sided 5 % test finds in 80 % of all repetitions."""
    return (NORMAL_975 + NORMAL_80) * standard_error


def _sums(clusters: Clusters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sizes = np.array([len(c) for c in clusters], dtype=np.float64)
    if not sizes.sum():
        raise ValueError("there are no observations")
    return np.array([math.fsum(c) for c in clusters], dtype=np.float64), sizes


def _is_binary(clusters: Clusters) -> bool:
    return all(len(c) == 1 and c[0] in (0.0, 1.0) for c in clusters)
