"""Several runs of one configuration: the variance between their seeds beside the variance between items.

The runs answer the same items, so a score has two parts of error: other items of the same kind, and another seed for
data, training and sampling. With few seeds the second part is itself uncertain, and intervals are wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric
from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, Results
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.evaluation.statistics import (
    Clusters,
    Numbers,
    cluster_sums,
    clustered_error,
    share_interval,
    t_quantile,
)
from synthetic_instruction_tuner.methods import BASE


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A mean over seeds and items, with both parts of its error.

    Attributes:
        value: the mean over all seeds.
        by_seed: the mean of each seed, in the runs' order.
        item_error: the standard error from the choice of items.
        seed_deviation: the standard deviation between seeds beyond what the items' noise explains; 0 where the seeds
            differ by no more than that.
        clusters: how many items there are.
        p: two-sided, that the mean of a difference is 0; nan for a score.
    """

    value: float
    by_seed: tuple[float, ...]
    item_error: float
    seed_deviation: float
    clusters: int
    p: float = math.nan

    @property
    def standard_error(self) -> float:
        """The standard error from items and seeds together."""
        return math.hypot(self.item_error, self.seed_deviation / math.sqrt(len(self.by_seed)))

    def half_width(self, level: float = 0.05) -> float:
        """Returns half of the interval that misses the true mean with this probability; 95 % by default.

        Each part of the error gets the t quantile of what it was estimated from, and both are added as squares (Zou &
        Donner 2008): between two seeds there is one degree of freedom, however many items there are.
        """
        items = t_quantile(1 - level / 2, self.clusters - 1) * self.item_error
        seeds = len(self.by_seed)
        return math.hypot(items, t_quantile(1 - level / 2, seeds - 1) * self.seed_deviation / math.sqrt(seeds))


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One metric of one variant over all seeds, and its differences to the references of the same seeds."""

    model: str
    variant: str
    benchmark: str
    metric: str
    headline: bool
    n: int
    clusters: int
    score: OverSeeds
    ci_low: float
    ci_high: float
    differences: Mapping[str, OverSeeds] = field(default_factory=dict)


def over_seeds(runs: Sequence[Results]) -> list[SeedRow]:
    """Returns the metrics that all runs have, in the first one's order.

    Raises:
        ValueError: there are fewer than two runs, or they have different items.
    """
    if len(runs) < 2:
        raise ValueError("a variance between seeds needs two runs")
    tables = [{(*key, r.benchmark): r for key, results in run.items() for r in results} for run in runs]
    rows = []
    for (model, variant, name), first in tables[0].items():
        own = [table.get((model, variant, name)) for table in tables]
        for metric in first.metrics:
            found = [result for result in own if result and metric in result.metrics]
            if len(found) == len(runs):
                wanted = [reference for reference in REFERENCES if variant not in (BASE, reference)]
                others = {ref: [table.get((model, ref, name)) for table in tables] for ref in wanted}
                references = {
                    ref: [result for result in theirs if result and metric in result.metrics]
                    for ref, theirs in others.items()
                }
                complete = {ref: theirs for ref, theirs in references.items() if len(theirs) == len(runs)}
                rows.append(_row(model, variant, metric, found, complete))
    return rows


def seed_estimate(sums: Numbers, sizes: Numbers) -> OverSeeds:
    """Returns the mean of observations of several seeds on the same clusters, with both parts of its error.

    Args:
        sums: the sum of each cluster's observations, one row per seed.
        sizes: observations in each cluster.
    """
    seeds, clusters = sums.shape
    n = sizes.sum()
    means = sums.sum(axis=1) / n
    value, average = float(means.mean()), sums.mean(axis=0)
    items = clustered_error(average, sizes)
    noise = (sums - average) - np.outer(means - value, sizes)  # of seed and item together
    correction = clusters / max(1, clusters - 1) / (seeds - 1) / n**2
    within = float((noise**2).sum()) * correction  # of the mean of one seed
    between = max(0.0, float(means.var(ddof=1)) - within)
    return OverSeeds(value, tuple(map(float, means)), items, math.sqrt(between), clusters)


def _row(
    model: str,
    variant: str,
    metric: str,
    results: Sequence[BenchmarkResult],
    references: Mapping[str, Sequence[BenchmarkResult]],
) -> SeedRow:
    first = results[0]
    sums, sizes, share = _table([result.clusters(metric) for result in _same_items(results)])
    score = seed_estimate(sums, sizes)
    share = share if (known := first.is_share(metric)) is None else known
    half = score.half_width()
    low, high = score.value - half, score.value + half
    if share:
        freedom = len(sizes) - 1
        low, high = share_interval(sums.mean(axis=0), sizes, half / t_quantile(0.975, freedom), freedom)
    if described := described_metric(first.benchmark, metric):
        low, high = described.within(low, high)
    differences = {}
    for reference, theirs in references.items():
        others, other_sizes, _ = _table([result.clusters(metric) for result in _same_items([*theirs, first])[:-1]])
        if not np.array_equal(sizes, other_sizes):
            raise ValueError(f"{first.benchmark} has other observations for {reference}")
        differences[reference] = _tested(sums - others, sizes)
    n = int(sizes.sum())
    return SeedRow(
        model, variant, first.benchmark, metric, metric == first.headline, n, len(sizes), score, low, high, differences
    )


def _tested(differences: Numbers, sizes: Numbers) -> OverSeeds:
    """Returns a difference with its p-value: the level at which the interval would just hold 0."""
    found = seed_estimate(differences, sizes)
    floor = min(1.0, 2.0 ** (1 - int((differences.sum(axis=0) != 0).sum())))
    low, high = -60.0, 0.0  # of the logarithm of p
    if not found.value or math.isnan(found.item_error):
        return replace(found, p=1.0)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if found.half_width(math.exp(middle)) < abs(found.value) else (middle, high)
    return replace(found, p=max(floor, math.exp(high)))


def _same_items(results: Sequence[BenchmarkResult]) -> Sequence[BenchmarkResult]:
    ids = [item.id for item in results[0].items]
    if any([item.id for item in result.items] != ids for result in results):
        raise ValueError(f"the runs have different items of {results[0].benchmark}")
    return results


def _table(seeds: Sequence[Clusters]) -> tuple[Numbers, Numbers, bool]:
    """Returns the clusters' sums by seed, their sizes, and whether all observations are 0 or 1."""
    read = [cluster_sums(clusters) for clusters in seeds]
    if any(not np.array_equal(sizes, read[0][1]) for _, sizes, _ in read):
        raise ValueError("the runs have different numbers of observations")
    return np.array([sums for sums, _, _ in read]), read[0][1], all(bits for _, _, bits in read)
