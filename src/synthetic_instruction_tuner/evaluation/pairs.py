"""Two sets of results, such as two runs or two files of answers, compared on the items that both have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric
from synthetic_instruction_tuner.evaluation.comparison import Results
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.evaluation.statistics import Difference, Estimate


@dataclass(frozen=True, slots=True)
class PairedRow:
    """One metric of both sides.

    Attributes:
        model, variant: what was evaluated; empty for files of answers.
        first, second: the scores on the common items.
        only_first, only_second: items that only one side has; they do not count.
        difference: second minus first. Holm's correction is over the headline metrics, and apart over all others.
    """

    model: str
    variant: str
    benchmark: str
    metric: str
    headline: bool
    first: Estimate
    second: Estimate
    only_first: int
    only_second: int
    difference: Difference

    def equivalence(self, margin: float) -> float:
        """Returns the p-value of `statistics.equivalence`; the margin is a share of the metric's span."""
        known = described_metric(self.benchmark, self.metric)
        if known is None or known.span is None:
            return math.nan
        return statistics.equivalence(self.difference, self.first.clusters, margin * known.span, known.span == 1)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values; None where a number is unknown."""
        flat: dict[str, Any] = {name: getattr(self, name) for name in ("model", "variant", "benchmark", "metric")}
        flat |= {"headline": self.headline, "only_first": self.only_first, "only_second": self.only_second}
        flat |= {"n": self.first.n, "clusters": self.first.clusters}
        for side in ("first", "second"):
            found: Estimate = getattr(self, side)
            flat |= {side: found.value, f"se_{side}": found.standard_error}
            flat |= {f"ci_low_{side}": found.low, f"ci_high_{side}": found.high}
        names = {"value": "difference", "standard_error": "se_difference", "detectable": "detectable"}
        flat |= {names.get(name, name): value for name, value in asdict(self.difference).items()}
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in flat.items()}


def paired(first: Results, second: Results) -> list[PairedRow]:
    """Returns a row for each metric that both sides have, in the first one's order.

    Raises:
        ValueError: both have a benchmark, but not one common item.
    """
    others = {(*key, r.benchmark): r for key, results in second.items() for r in results}
    rows = []
    for (model, variant), results in first.items():
        for own in results:
            if other := others.get((model, variant, own.benchmark)):
                rows += _rows(model, variant, own, other)
    return _corrected(rows)


def _rows(model: str, variant: str, first: BenchmarkResult, second: BenchmarkResult) -> list[PairedRow]:
    theirs = {item.id: item for item in second.items}
    common = [item.id for item in first.items if item.id in theirs]
    if not common:
        raise ValueError(f"the two have no common items of {first.benchmark}")
    wanted = set(common)
    one = replace(first, items=tuple(item for item in first.items if item.id in wanted))
    two = replace(second, items=tuple(theirs[name] for name in common))
    rows = []
    for metric in one.metrics:
        if metric in two.metrics:
            difference = statistics.compare(two.clusters(metric), one.clusters(metric), one.is_share(metric))
            lost = len(first.items) - len(common), len(second.items) - len(common)
            scores = one.estimate(metric), two.estimate(metric)
            headline = metric == first.headline
            rows.append(PairedRow(model, variant, one.benchmark, metric, headline, *scores, *lost, difference))
    return rows


def _corrected(rows: Sequence[PairedRow]) -> list[PairedRow]:
    found = list(rows)
    for headline in (True, False):
        places = [i for i, row in enumerate(found) if row.headline == headline]
        for i, p in zip(places, statistics.holm([found[i].difference.p for i in places]), strict=True):
            found[i] = replace(found[i], difference=replace(found[i].difference, p_holm=p))
    return found
