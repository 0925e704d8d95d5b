"""Scores that a model's makers have published, as a check whether a measurement is sound.

Only base models, and only scores of the same form of the benchmark. Small differences are expected: makers use code of
their own, and some average over subjects where ours is the average over questions.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """A published score: a share, and how and where it was published."""

    value: float
    how: str


_LLAMA = "5-shot, average over subjects, Meta's model card of Llama 3.2"

PUBLISHED_SCORES: dict[tuple[str, str], PublishedScore] = {
    ("meta-llama/Llama-3.2-1B", "mmlu"): PublishedScore(0.322, _LLAMA),
    ("meta-llama/Llama-3.2-3B", "mmlu"): PublishedScore(0.58, _LLAMA),
    ("meta-llama/Llama-3.1-8B", "mmlu"): PublishedScore(0.667, _LLAMA),
}
"""By Hub id and benchmark; each was read at its source."""


def published_score(path: str, benchmark: str) -> PublishedScore | None:
    """Returns what was published for a model's headline on a benchmark; None where that is not known.

    Args:
        path: the model's Hub id.
        benchmark: the benchmark's name.
    """
    return PUBLISHED_SCORES.get((path, benchmark))
