"""Results on a model's card: a table with intervals for people, and metadata from which the Hub shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.escaping import markdown


@dataclass(frozen=True, slots=True)
class Score:
    """A result on one benchmark.

    Attributes:
        benchmark, metric: what was measured.
        items: how many there are.
        value, low, high: the mean, and its interval of 95 %.
        base: the same of the untuned model; None where it was not evaluated.
        data_set: the benchmark's id on the Hub; empty where it has none.
    """

    benchmark: str
    metric: str
    items: int
    value: float
    low: float
    high: float
    base: tuple[float, float, float] | None = None
    data_set: str = ""


def results_table(scores: Sequence[Score]) -> str:
    """Returns the results as Markdown."""
    if not scores:
        return "It was not evaluated."
    rows = "\n".join(
        f"| {markdown(s.benchmark)} | {markdown(s.metric)} | {s.items:,} | {_interval((s.value, s.low, s.high))} | "
        f"{_interval(s.base) if s.base else 'not evaluated'} |"
        for s in scores
    )
    head = "| benchmark | metric | items | this model | untuned |\n|---|---|---|---|---|"
    return f"Means with intervals of 95 %.\n\n{head}\n{rows}"


def model_index(name: str, scores: Sequence[Score]) -> dict[str, Any]:
    """Returns the metadata ``model-index`` of a card; nothing where there are no results.

    The interval is a part of the metric's name: that is what the Hub shows beside its value. A score that is no number
    has no place in it.
    """
    known = [score for score in scores if math.isfinite(score.value)]
    if not known:
        return {}
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    found = [
        EvalResult(
            task_type="text-generation",
            task_name="Text generation",
            dataset_type=s.data_set or s.benchmark,
            dataset_name=s.benchmark,
            metric_type=s.metric,
            metric_name=f"{s.metric}{_in_words(s)}",
            metric_value=round(s.value, 4),
        )
        for s in known
    ]
    return {"model-index": eval_results_to_model_index(name, found)}


def _in_words(score: Score) -> str:
    interval = f"95 % interval {score.low:.3f} to {score.high:.3f}, " if score.low == score.low else ""
    return f" ({interval}{score.items:,} items)"


def _interval(value: tuple[float, float, float]) -> str:
    mean, low, high = value
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if low == low else f"{mean:.3f}"
