"""What a judge says about answers, the scores that follow from it, and statistics of its position bias.

Pairwise, an answer's score is the share of its comparisons won, a tie counting half. Pointwise, it is the rating.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthetic_instruction_tuner.chat.verdicts import Winner
from synthetic_instruction_tuner.config import JudgeConfig
from synthetic_instruction_tuner.preference.summary_statistics import share, share_error


@dataclass(frozen=True, slots=True)
class Judgment:
    """What the judge said about one or two answers to a record.

    Attributes:
        first, second: the answers' indices among the record's answers, in the order shown; second is None pointwise.
        winner: pairwise, the better answer; None if the judge's reply cannot be parsed.
        rating: pointwise, 1 to 10; None if the judge's reply cannot be parsed.
    """

    first: int
    second: int | None = None
    winner: Winner | None = None
    rating: float | None = None

    @property
    def readable(self) -> bool:
        """Whether the judge's reply could be parsed."""
        return self.winner is not None or self.rating is not None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


def scores(count: int, judgments: Sequence[Judgment]) -> list[float | None]:
    """Returns the score of each of a record's answers; None for an answer without a readable judgment."""
    ratings = {v.first: v.rating for v in judgments if v.rating is not None}
    if ratings:
        return [ratings.get(place) for place in range(count)]
    points: list[list[float]] = [[] for _ in range(count)]
    for first, second, won in _compared(judgments):
        points[first].append(won)
        points[second].append(1 - won)
    return [sum(won) / len(won) if won else None for won in points]


class JudgeStatistics:
    """Counts judgments: how many cannot be parsed, and whether the judge prefers a position."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self.judgments = self.unparsable = self.first = self.decided = 0
        self.compared = self.consistent = self.flipped = 0

    def add(self, judgments: Sequence[Judgment]) -> None:
        """Counts the judgments on one record's answers."""
        self.judgments += len(judgments)
        self.unparsable += sum(not v.readable for v in judgments)
        decided = [v for v in judgments if v.winner in ("first", "second")]
        self.decided += len(decided)
        self.first += sum(v.winner == "first" for v in decided)
        both = _both_orders(judgments)
        self.compared += len(both)
        self.consistent += sum(_won(one) == 1 - _won(other) for one, other in both)
        self.flipped += sum(one.winner == other.winner and one.winner != "tie" for one, other in both)

    def to_json(self) -> dict[str, Any]:
        """Returns the counts, and which share of the decided judgments the answer shown first won, with its error."""
        counts = {"mode": self.config.mode, "judgments": self.judgments, "unparsable": self.unparsable}
        if self.config.mode == "pointwise":
            return counts
        return counts | {
            "decided": self.decided,
            "first_share": share(self.first, self.decided),
            "first_error": share_error(self.first, self.decided),
            "compared": self.compared,
            "consistent": self.consistent,
            "flipped": self.flipped,
        }


def _compared(judgments: Sequence[Judgment]) -> Iterable[tuple[int, int, float]]:
    """Yields what the first of every two answers won: the mean of both orders, so 0.5 if the position decided.

    Only comparisons with a readable judgment in both orders count, so that no answer gains from its position.
    """
    for one, other in _both_orders(judgments):
        assert one.second is not None
        yield one.first, one.second, (_won(one) + 1 - _won(other)) / 2


def _both_orders(judgments: Sequence[Judgment]) -> list[tuple[Judgment, Judgment]]:
    readable = {(v.first, v.second): v for v in judgments if v.winner is not None}
    return [(v, readable[b, a]) for (a, b), v in readable.items() if b is not None and a < b and (b, a) in readable]


def _won(judgment: Judgment) -> float:
    """Returns what the answer shown first won: 1, 0, or 0.5 for a tie."""
    return {"first": 1.0, "second": 0.0}.get(judgment.winner or "", 0.5)
