"""Selects the chosen and the rejected answer to a record, or names the guard that prevents a pair.

The best answer is paired with a worse one (Magpie, arXiv:2406.08464). A pair is useless or harmful if its texts are
equal or nearly equal, if its scores tie or are too close, or if its chosen answer was cut off; the guards skip such
records. With many answers the very worst one may be a poor choice too: `mean_minus_2sd` takes the answer nearest to two
standard deviations below the mean (arXiv:2502.16825). With up to five answers none can be farther below the mean, so
it takes the worst one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.records import Answer
from synthetic_instruction_tuner.words import parts_of

Reason = Literal[
    "too_few_answers",
    "identical_answers",
    "equal_scores",
    "model_share",
    "chosen_truncated",
    "small_margin",
    "near_identical",
    "length_mismatch",
]
"""Why a record gives no pair; the guards are checked in this order."""

REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class SelectedPair:
    """The two answers of a pair.

    Attributes:
        chosen, rejected: the answers.
        passed_over: guards that kept a better chosen or a worse rejected answer out of the pair.
    """

    chosen: Answer
    rejected: Answer
    passed_over: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class NoPair:
    """Why no two answers make a pair, with the numbers behind it."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A record that gives no pair.

    Attributes:
        record_id: the record.
        reason: the guard that skipped it.
        detail: the numbers behind it, for people.
    """

    record_id: str
    reason: Reason
    detail: str = ""


def select_pair(answers: Sequence[Answer], config: PreferConfig, barred: Collection[str] = ()) -> SelectedPair | NoPair:
    """Returns the two answers that make a pair, or why there are none.

    The order of the answers does not matter. Answers without text or without a finite score are not used; of several
    answers with the same text only one is used.

    Args:
        answers: all answers to one record.
        config: the settings of the guards.
        barred: models that have reached their share of the chosen answers.
    """
    usable = [a for a in answers if _usable(a, config)]
    if len(usable) < 2:
        return NoPair("too_few_answers", f"{len(usable)} of {len(answers)} answers are usable")
    ranked = sorted(_distinct(usable), key=lambda a: (-score_of(a), a.model, a.text))
    if len(ranked) < 2:
        return NoPair("identical_answers", f"{len(usable)} answers have the same text")
    if score_of(ranked[0]) == score_of(ranked[-1]):
        return NoPair("equal_scores", f"every answer has the score {score_of(ranked[0]):.4f}")
    chosen = next((a for a in ranked if a.model not in barred), None)
    if chosen is None:
        return NoPair("model_share", f"{', '.join(sorted(barred))} reached their share of the chosen answers")
    if chosen.truncated and config.truncated == "not_chosen":
        return NoPair("chosen_truncated", f"the best answer, by {chosen.model}, was cut off")
    return _pair_with_worse(chosen, ranked, usable, config)


def score_of(answer: Answer) -> float:
    """Returns the score of an answer that has one."""
    assert answer.score is not None
    return answer.score


def word_similarity(first: str, second: str) -> float:
    """Returns the Jaccard similarity of the texts' sets of words, from 0 to 1; 1.0 when neither has a word.

    Case and the punctuation around words are ignored. In Chinese and Japanese each character is a word.
    """
    a, b = set(parts_of(first)), set(parts_of(second))
    return len(a & b) / len(a | b) if a | b else 1.0


def length_ratio(first: str, second: str) -> float:
    """Returns the longer text's number of words divided by the shorter one's; infinite if only one has no words."""
    short, long = sorted((len(parts_of(first)), len(parts_of(second))))
    return 1.0 if long == 0 else math.inf if short == 0 else long / short


def _pair_with_worse(
    chosen: Answer, ranked: list[Answer], usable: list[Answer], config: PreferConfig
) -> SelectedPair | NoPair:
    """Returns the pair of the chosen answer and one of the worse answers, or why there is none."""
    over: list[Reason] = ["model_share"] if chosen is not ranked[0] else []
    margin = config.min_margin
    worse = [a for a in ranked if score_of(chosen) - score_of(a) > margin]
    if not worse:
        gap = score_of(chosen) - score_of(ranked[-1])
        reason: Reason = "model_share" if over and gap <= 0 else "small_margin"
        return NoPair(reason, f"{gap:.4f} is not above {margin}")
    different = [a for a in worse if word_similarity(a.text, chosen.text) < config.max_similarity]
    if not different:
        return NoPair("near_identical", f"every worse answer has a similarity of {config.max_similarity} or more")
    limit = config.max_length_ratio
    fitting = [a for a in different if limit is None or length_ratio(a.text, chosen.text) <= limit]
    if not fitting:
        return NoPair("length_mismatch", f"no worse answer's length is within a factor of {limit}")
    rejected = _rejected(fitting, usable, config)
    for reason, before, after in (("near_identical", worse, different), ("length_mismatch", different, fitting)):
        if _rejected(before, usable, config) is not _rejected(after, usable, config):
            over.append(reason)
    return SelectedPair(chosen, rejected, tuple(over))


def _rejected(candidates: list[Answer], usable: list[Answer], config: PreferConfig) -> Answer:
    """Returns the rejected answer among the candidates, which are in order of their scores, best first."""
    if config.rejected == "worst":
        return candidates[-1]
    scores = [score_of(a) for a in usable]
    target = statistics.fmean(scores) - 2 * statistics.pstdev(scores)
    return min(reversed(candidates), key=lambda a: abs(score_of(a) - target))


def _usable(answer: Answer, config: PreferConfig) -> bool:
    if answer.truncated and config.truncated == "not_used":
        return False
    return bool(answer.text.strip()) and answer.score is not None and math.isfinite(answer.score)


def _distinct(answers: Iterable[Answer]) -> list[Answer]:
    """Returns one answer per text, preferring one that was not cut off; independent of the answers' order."""
    kept: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda a: (a.truncated, a.model, a.text, -score_of(a), a.sample)):
        kept.setdefault(answer.text.strip(), answer)
    return list(kept.values())
