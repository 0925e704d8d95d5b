"""What scores answers: the interface that reward models and judges share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from synthetic_instruction_tuner.engines.base import Done
from synthetic_instruction_tuner.preference.judgments import Judgment
from synthetic_instruction_tuner.records import Answer, Record

Answered = tuple[Record, Sequence[Answer]]
"""A record and answers to it."""


class ScoredAnswers(NamedTuple):
    """A record, the answers to it with their scores, and the judge's judgments; None if a reward model scored."""

    record: Record
    answers: Sequence[Answer]
    judgments: Sequence[Judgment] | None = None


class Scorer(Protocol):
    """Scores answers: `RewardModel` or `Judge`. Higher is better; an answer that cannot be scored has None."""

    def score_answers(self, items: Sequence[Answered], done: Done | None = None) -> list[ScoredAnswers]:
        """Returns the items, in order, with the score of every answer.

        A reward model scores each answer by itself. A judge compares the answers of an item with each other, so an
        item has all answers to its record.

        Args:
            items: records with answers.
            done: called with the number of answers scored or judgments made.
        """
        ...
