"""What a paired test can find: the true difference that it detects in 80 % of all repetitions.

A comparison without a significant result says little until one knows this number. It is computed for the test that is
made, from what the items show about their noise: exactly for McNemar's test, from the noncentral t distribution for the
test of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL, POWER = 0.05, 0.8
FEWEST = 6
"""The fewest items that a two-sided test at 5 % can work with: 6 wins and no loss have p = 2 / 2^6 = 0.031."""
PRECISION = 1e-4  # of a detectable difference, relative
TAILS = 6.0  # standard deviations to both sides of the expected number of differing items that are looked at


def detectable_mcnemar(items: int, discordant: float) -> float:
    """Returns the smallest true difference of two shares that McNemar's exact test finds in 80 % of repetitions.

    The share of items that only one of the two models gets right is taken as observed, or as large as the difference
    itself where fewer were observed: a difference of 0.1 needs a tenth of the items. So models that gave identical
    answers have a detectable difference too.

    Args:
        items: how many items both models answered.
        discordant: how many of them only one model got right.

    Returns:
        The difference, above 0; nan where the test cannot reach 80 %, whatever the difference is.
    """
    seen = discordant / items

    def power(difference: float) -> float:
        return mcnemar_power(items, max(seen, difference), difference)

    return _smallest(power)


def mcnemar_power(items: int, differing: float, difference: float) -> float:
    """Returns how often McNemar's exact test gives p < 0.05.

    Args:
        items: the number of items.
        differing: the true share of items that only one model gets right.
        difference: the true difference of the models' shares of right items, at most `differing`.
    """
    from scipy.special import bdtr, bdtrc, gammaln, xlog1py, xlogy

    center, spread = items * differing, TAILS * math.sqrt(items * differing * (1 - differing)) + TAILS
    first, last = max(FEWEST, math.floor(center - spread)), min(items, math.ceil(center + spread))
    if last < first:
        return 0.0
    count = np.arange(first, last + 1, dtype=np.int64)
    log_ways = gammaln(items + 1) - gammaln(count + 1) - gammaln(items - count + 1)
    weight = np.exp(log_ways + xlogy(count, differing) + xlog1py(items - count, -differing))
    wins, needed = 0.5 + difference / (2 * differing), critical_wins(items)[first : last + 1]
    found = bdtrc(needed - 1, count, wins) + bdtr(count - needed, count, wins)
    return float((weight * found).sum())


@lru_cache(maxsize=8)
def critical_wins(most: int) -> NDArray[np.float64]:
    """Returns for 0 to `most` differing items the fewest wins with a two-sided p below 0.05; nan below 6 items."""
    from scipy.special import bdtrc

    discordant = np.arange(FEWEST, most + 1, dtype=np.int64)
    lowest = np.floor(discordant / 2 + 0.98 * np.sqrt(discordant)) - 3  # the normal approximation is not far off
    wins = np.clip(lowest[:, None] + np.arange(8), 1, discordant[:, None])
    enough = 2 * bdtrc(wins - 1, discordant[:, None], 0.5) < LEVEL
    found = wins[np.arange(len(wins)), enough.argmax(axis=1)]
    return np.concatenate([np.full(min(FEWEST, most + 1), math.nan), found])


def detectable_mean(standard_error: float, clusters: int) -> float:
    """Returns the true mean difference that a two-sided t test at 5 % finds in 80 % of repetitions.

    Args:
        standard_error: of the difference.
        clusters: independent clusters behind it.

    Returns:
        The difference; nan where the error is unknown or 0: identical answers say nothing about the noise.
    """
    if not standard_error > 0:
        return math.nan
    from scipy.special import nctdtrinc, stdtrit

    freedom = clusters - 1
    return float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - LEVEL / 2))) * standard_error


def detectable_in_clusters(differences: NDArray[np.float64]) -> float:
    """Returns the smallest true sum of the clusters' differences that is found in 80 % of repetitions.

    For shares whose observations stand in clusters: McNemar's test on as many clusters as if those that differ all did
    so by the same amount, with the sum of squares that they have. Where none differs, that amount is 1.

    Args:
        differences: whole numbers, one per cluster.
    """
    total, squares = float(np.abs(differences).sum()), float((differences**2).sum())
    alike, amount = (total**2 / squares, squares / total) if total else (0.0, 1.0)
    return detectable_mcnemar(len(differences), alike) * len(differences) * amount


def _smallest(power: Callable[[float], float]) -> float:
    """Returns where a power that rises with the difference reaches 80 %; nan where it does not up to 1."""
    low, high = 0.0, 1.0
    if power(high) < POWER:
        return math.nan
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
