"""Summary statistics of preference data: distributions, shares with standard errors, effect size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def describe(values: Sequence[float]) -> dict[str, Any]:
    """Returns n, mean, standard deviation (of the sample) and linearly interpolated quantiles; skips NaN."""
    values = sorted(v for v in values if math.isfinite(v))
    if not values:
        return {"n": 0, "mean": None, "sd": None, "quantiles": {}}
    return {
        "n": len(values),
        "mean": rounded(statistics.fmean(values)),
        "sd": rounded(statistics.stdev(values)) if len(values) > 1 else None,
        "quantiles": {f"{q:g}": rounded(_quantile(values, q)) for q in QUANTILES},
    }


def cohens_d(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns Cohen's d, the difference of the means over the pooled standard deviation; None where it is undefined."""
    if len(first) < 2 or len(second) < 2:
        return None
    freedom = len(first) + len(second) - 2
    pooled = ((len(first) - 1) * statistics.variance(first) + (len(second) - 1) * statistics.variance(second)) / freedom
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(pooled) if pooled > 0 else None


def share(count: float, total: float) -> float | None:
    """Returns count / total; None if total is 0."""
    return rounded(count / total) if total else None


def share_error(count: int, total: int) -> float | None:
    """Returns the standard error of the share count / total; None if total is 0."""
    return rounded(math.sqrt(count * (total - count) / total) / total) if total else None


def rounded(value: float) -> float:
    """Returns the value rounded to six places, so that the last bits of a sum do not show in files."""
    return round(value, 6)


def _quantile(ordered: Sequence[float], q: float) -> float:
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
