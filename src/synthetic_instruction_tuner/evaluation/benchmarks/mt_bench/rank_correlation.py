"""How well a judge's ratings follow a known order of models: rank correlations with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation with its 95 % interval; 0 where the ratings are all equal, which follow no order."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


def rank_correlations(
    ratings: Sequence[Sequence[Sequence[float]]], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Correlation, Correlation]:
    """Returns Spearman's rho and Kendall's tau-b between the ratings and the order of the models.

    All ratings of all models are one sample. The interval is a percentile bootstrap over questions, since the answers
    to one question are rated alike.

    Args:
        ratings: by model, the best first; of each the ratings of each question, in the same order for all models.
        seed, resamples: of the bootstrap.

    Raises:
        ValueError: there are fewer than two models, or no questions.
    """
    models = len(ratings)
    if models < 2 or not ratings[0]:
        raise ValueError("a rank correlation needs two models and a question")
    questions = len(ratings[0])
    values = [np.array([r for model in ratings for r in model[q]], dtype=float) for q in range(questions)]
    ranks = [
        np.array([models - m for m in range(models) for _ in ratings[m][q]], dtype=float) for q in range(questions)
    ]
    rng = np.random.default_rng(seed)
    drawn = [_both(values, ranks, rng.integers(0, questions, questions)) for _ in range(resamples)]
    found = _both(values, ranks, np.arange(questions))
    ends = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    spearman, kendall = (Correlation(found[i], float(ends[0, i]), float(ends[1, i])) for i in range(2))
    return spearman, kendall


def _both(values: Sequence[Any], ranks: Sequence[Any], chosen: Any) -> tuple[float, float]:
    from scipy.stats import kendalltau, spearmanr

    rated, known = np.concatenate([values[q] for q in chosen]), np.concatenate([ranks[q] for q in chosen])
    if (rated == rated[0]).all():
        return 0.0, 0.0
    return float(spearmanr(rated, known).statistic), float(kendalltau(rated, known).statistic)
