"""Standard errors, intervals and paired tests for benchmark scores; pure functions of numbers.

Follows Miller (2024, arXiv:2411.00640): observations that share an item (the rules of one prompt, the turns of one
conversation) are a cluster, and two models are compared on the same items. A *cluster* here is a sequence of
observations; a benchmark's score is the mean over all observations of all clusters. A *share* is the mean of
observations that are 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from synthetic_instruction_tuner.evaluation import power

Clusters = Sequence[Sequence[float]]

Numbers = NDArray[np.float64]

NORMAL_975 = 1.959963984540054  # 97.5 % point of the normal distribution
UNSEEN = 3.0
"""So many clusters whose observations all agree are added in thought; see `design_effect`."""


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
        detectable: the smallest true difference that this test on as many items would find in 80 % of repetitions;
            nan where that is unknown.
    """

    value: float
    standard_error: float
    p: float
    p_holm: float | None = None
    detectable: float = math.nan


def estimate(clusters: Clusters, share: bool | None = None) -> Estimate:
    """Returns the mean of all observations with its clustered error and 95 % interval.

    The interval of a share is Wilson's, with the effective number of observations where clusters have several; that of
    any other mean is a t interval.

    Args:
        clusters: the observations.
        share: whether this is a share; None: it is where every observation is 0 or 1.

    Raises:
        ValueError: there are no observations.
    """
    sums, sizes, zero_or_one = cluster_sums(clusters)
    n, count = int(sizes.sum()), len(sums)
    mean = float(sums.sum() / n)
    error = clustered_error(sums, sizes)
    if not (zero_or_one if share is None else share):
        half = t_quantile(0.975, count - 1) * error
        low, high = mean - half, mean + half
    elif n == count:
        low, high = wilson(float(sums.sum()), n)
    else:
        low, high = share_interval(sums, sizes, error, count - 1)
    return Estimate(mean, error, low, high, n, count)


def clustered_error(sums: Numbers, sizes: Numbers) -> float:
    """Returns the standard error of ``sum(sums) / sum(sizes)`` over independent clusters.

    With clusters of one observation it is the usual s / sqrt(n). It is nan for fewer than two clusters.
    """
    count = len(sums)
    if count < 2:
        return math.nan
    residuals = sums - sizes * (sums.sum() / sizes.sum())
    return float(math.sqrt(count / (count - 1) * (residuals**2).sum()) / sizes.sum())


def design_effect(sums: Numbers, sizes: Numbers, standard_error: float) -> float:
    """Returns how many observations of a share are worth one independent one (Kish 1965), at least 1.

    That is n SE² / p(1 − p), where the error is well known. The error of a share near 0 or 1 rests on the few clusters
    that hold the rarer outcome, and is then often far too small. So the effect is drawn towards the largest possible
    one, that of clusters whose observations all agree, as much as `UNSEEN` such clusters weigh beside those with the
    rarer outcome; on the logarithmic scale, since both are ratios. Without any rarer outcome the largest one counts.

    Args:
        sums: the sum of each cluster's observations.
        sizes: how many observations each cluster has.
        standard_error: of the share.
    """
    n = float(sizes.sum())
    share, largest = float(sums.sum()) / n, float((sizes**2).sum()) / n
    informative = int((sums > 0).sum() if share <= 0.5 else (sums < sizes).sum())
    if not informative:
        return largest
    seen = min(max(1.0, n * standard_error**2 / (share * (1 - share))), largest)
    return float(seen * (largest / seen) ** (UNSEEN / (UNSEEN + informative)))


def share_interval(sums: Numbers, sizes: Numbers, standard_error: float, freedom: float) -> tuple[float, float]:
    """Returns the 95 % interval of a share with a clustered error: Wilson's, with the effective number of observations.

    Args:
        sums: the sum of each cluster's observations.
        sizes: how many observations each cluster has.
        standard_error: of the share.
        freedom: degrees of freedom of the error; without any the share may be anything.
    """
    if not freedom > 0:
        return 0.0, 1.0
    worth = float(sizes.sum()) / design_effect(sums, sizes, standard_error)
    return wilson(float(sums.sum() / sizes.sum()) * worth, worth, t_quantile(0.975, freedom))


def wilson(successes: float, n: float, quantile: float = NORMAL_975) -> tuple[float, float]:
    """Returns the 95 % score interval of a share (Wilson 1927); unlike mean ± 2 SE it is right near 0 and 1.

    Args:
        successes: how many observations are right.
        n: how many there are; both may be effective numbers.
        quantile: the 97.5 % point; of a t distribution where n rests on an estimated error.
    """
    z2, share = quantile**2, successes / n
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(max(0.0, share * (1 - share)) / n + z2 / (4 * n * n))
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


@lru_cache(maxsize=256)
def t_quantile(probability: float, freedom: float) -> float:
    """Returns a point of Student's t distribution; nan without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability)) if freedom > 0 else math.nan


def compare(ours: Clusters, theirs: Clusters, share: bool | None = None) -> Difference:
    """Returns ours minus theirs, paired by cluster.

    The test is McNemar's exact one where every cluster is a single 0 or 1, else a t test of the mean that corrects for
    skewness (`mean_test`). Of shares in clusters often only a few differ, by whole numbers, where no t test keeps its
    level: there the exact test of the signs (`sign_test`) must agree, and the larger of the two p-values counts.

    Args:
        ours, theirs: the observations of both models.
        share: whether both means are shares; None: they are where every observation is 0 or 1.

    Raises:
        ValueError: the clusters do not have the same sizes.
    """
    (our_sums, sizes, our_bits), (their_sums, their_sizes, their_bits) = cluster_sums(ours), cluster_sums(theirs)
    if not np.array_equal(sizes, their_sizes):
        raise ValueError("paired comparison needs the same items on both sides")
    differences, count = our_sums - their_sums, len(sizes)
    bits = our_bits and their_bits and share is not False
    error = clustered_error(differences, sizes)
    if bits and sizes.sum() == count:
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        p, detectable = mcnemar(wins, losses), power.detectable_mcnemar(count, wins + losses)
    else:
        p, detectable = mean_test(differences, sizes), power.detectable_mean(error, count)
        if bits:
            p = max(p, sign_test(differences))
            detectable = power.detectable_in_clusters(differences) / float(sizes.sum())
            detectable = detectable if detectable <= 1 else math.nan  # shares cannot differ by more
    return Difference(float(differences.sum() / sizes.sum()), error, p, detectable=detectable)


def mcnemar(wins: int, losses: int) -> float:
    """Returns the exact two-sided p-value that wins and losses are equally likely (McNemar 1947, binomial form)."""
    from scipy.special import bdtrc

    n, extreme = wins + losses, max(wins, losses)
    return min(1.0, 2 * float(bdtrc(extreme - 1, n, 0.5))) if extreme else 1.0


def mean_test(differences: Numbers, sizes: Numbers) -> float:
    """Returns the two-sided p-value that the mean of clustered differences is 0.

    A t test on the clusters, with the transformation of the t statistic that takes out the effect of skewed differences
    (Hall 1992, J. R. Stat. Soc. B 54, 221–228). A test of the signs alone would test whether the differences are
    symmetric, which says something about the mean only where they are. With few clusters that differ at all no p-value
    is below that of the sign test when all of them have one sign.

    Args:
        differences: the sum of each cluster's differences.
        sizes: how many observations each cluster has.
    """
    count, differing = len(differences), int((differences != 0).sum())
    if count < 2 or not differing:
        return 1.0
    mean = differences.sum() / sizes.sum()
    residuals = differences - sizes * mean
    spread = math.sqrt((residuals**2).mean())
    floor = min(1.0, 2.0 ** (1 - differing))
    if spread <= 1e-12 * np.abs(differences).max():
        return floor
    skewness = float(((residuals / spread) ** 3).mean())
    shift = mean * sizes.mean() / spread
    straight = shift + skewness * shift**2 / 3 + skewness**2 * shift**3 / 27 + skewness / (6 * count)
    from scipy.special import stdtr

    return max(floor, 2 * float(stdtr(count - 1, -abs(straight) * math.sqrt(count - 1))))


def sign_test(differences: Numbers) -> float:
    """Returns the exact two-sided p-value that either sign of each difference is equally likely.

    The distribution of the sum over all ways to set the signs (Fisher's randomization test of pairs); with differences
    of 1 alone it is McNemar's test.

    Args:
        differences: whole numbers, one per cluster.
    """
    from scipy.special import gammaln

    ways = np.ones(1)  # probability of each sum, in the middle that of 0
    for size, count in zip(*np.unique(np.abs(differences[differences != 0]), return_counts=True), strict=True):
        positive = np.arange(count + 1)
        chances = np.zeros(2 * int(size) * count + 1)
        log_ways = gammaln(count + 1) - gammaln(positive + 1) - gammaln(count - positive + 1)
        chances[:: 2 * int(size)] = np.exp(log_ways - count * math.log(2))
        ways = np.convolve(ways, chances)
    sums = np.abs(np.arange(len(ways)) - len(ways) // 2)
    return min(1.0, float(ways[sums >= round(abs(differences.sum()))].sum()))


def equivalence(difference: Difference, clusters: int, margin: float, share: bool) -> float:
    """Returns the p-value that a true difference is at least `margin`, up or down: two one-sided t tests.

    After Schuirmann (1987). Below 0.05 the two models are equivalent within the margin. For shares the error is not
    taken to be smaller than a true difference of `margin` would make it, so that a few identical answers are no proof.

    Args:
        difference: the paired difference.
        clusters: independent clusters behind it.
        margin: the largest difference that does not matter, above 0.
        share: whether the difference is one of shares.

    Returns:
        The larger of the two p-values; nan where the error is unknown, or 0 for means that are not shares.
    """
    from scipy.special import stdtr

    error = difference.standard_error
    if share:
        error = max(error, math.sqrt(margin * max(0.0, 1 - margin) / max(1, clusters - 1)))
    if clusters < 2 or not error > 0:
        return math.nan
    return float(stdtr(clusters - 1, (abs(difference.value) - margin) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values corrected for their number (Holm 1979), in the given order."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def cluster_sums(clusters: Clusters) -> tuple[Numbers, Numbers, bool]:
    """Returns each cluster's sum and size, and whether all observations are 0 or 1."""
    sizes = np.fromiter(map(len, clusters), dtype=np.int64, count=len(clusters))
    values = np.fromiter(chain.from_iterable(clusters), dtype=np.float64, count=int(sizes.sum()))
    if not len(values):
        raise ValueError("there are no observations")
    sums = np.bincount(np.repeat(np.arange(len(sizes)), sizes), weights=values, minlength=len(sizes))
    return np.asarray(sums, dtype=np.float64), sizes.astype(np.float64), bool(((values == 0) | (values == 1)).all())
