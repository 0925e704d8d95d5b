"""Scores by kind of item: what a benchmark's tables show beside its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.evaluation.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One table of a benchmark.

    Attributes:
        name: short, for files: ``rules``.
        title: what it shows, for people.
        metric: the metric that is broken down.
        rows: label and score, in the order to show.
    """

    name: str
    title: str
    metric: str
    rows: tuple[tuple[str, Estimate], ...]


def by_label(result: BenchmarkResult, metric: str, groups: dict[str, str] | None = None) -> list[tuple[str, Estimate]]:
    """Returns a metric for each label, in alphabetical order; the observations of one item stay one cluster.

    Args:
        result: its items have as many labels as observations of the metric, or one for all.
        metric: one of its metrics.
        groups: a name for each label, if labels are to be put together.
    """
    found: dict[str, list[list[float]]] = {}
    for item in result.items:
        values = item.scores[metric]
        labels = item.labels if len(item.labels) == len(values) else item.labels[:1] * len(values)
        own: dict[str, list[float]] = {}
        for label, value in zip(labels, values, strict=True):
            own.setdefault(groups.get(label, label) if groups else label, []).append(value)
        for label, cluster in own.items():
            found.setdefault(label, []).append(cluster)
    return [(label, result.estimate_of(found[label], metric)) for label in sorted(found)]


def of_items(result: BenchmarkResult, metrics: Sequence[str], ids: Iterable[str]) -> list[tuple[str, Estimate]]:
    """Returns metrics over some of the items; none where none of the items is among them."""
    wanted = set(ids)
    kept = [item for item in result.items if item.id in wanted]
    return [(name, result.estimate_of([item.scores[name] for item in kept], name)) for name in metrics if kept]


def clustered_by_label(result: BenchmarkResult, metric: str) -> Estimate:
    """Returns a metric whose error takes the items of one label as one cluster, such as MMLU's subjects.

    The items of a subject are not a random sample of all questions. This is a check of how much that matters, not a
    better error: with few labels it is itself uncertain.
    """
    found: dict[str, list[float]] = {}
    for item in result.items:
        found.setdefault(item.labels[0] if item.labels else item.id, []).extend(item.scores[metric])
    return result.estimate_of(list(found.values()), metric)
