"""Stage prefer, the scores: a reward model or a judge scores a round; what is in the store is not scored again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.run.stages.prefer_answers import Round, read_answers
from synthetic_instruction_tuner.run.stages.stage import Context

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.scoring import Answered, ScoredAnswers, Scorer


class _RewardScoring:
    """The reward model scores each answer by itself: an item is one answer.

    Attributes:
        model: the model that scores.
        unit: what the progress bar counts.
        batch_size: items scored and committed at once.
        count: the round's items.
    """

    unit = "answers"

    def __init__(self, ctx: Context, this: Round) -> None:
        self.model = ctx.config.models.reward
        self.batch_size = 4 * ctx.config.prefer.batch
        self.count = len(this.records) * len(this.group.models) * ctx.config.prefer.samples
        self._ctx, self._round = ctx, this

    def items(self) -> Iterator[Answered]:
        """Yields what is scored, a record and its answer at a time."""
        return ((record, [answer]) for record, answers in read_answers(self._ctx, self._round) for answer in answers)

    def steps(self) -> int:
        """Returns the units of progress of the whole round."""
        return self.count

    @contextmanager
    def open(self) -> Iterator[Scorer]:
        """Loads the model; its memory is freed when the block ends."""
        from synthetic_instruction_tuner.preference.reward.model import open_reward_model

        ctx = self._ctx
        with open_reward_model(self.model, ctx.config.prefer, ctx.config.engine, ctx.hardware) as reward:
            yield reward


class _JudgeScoring:
    """The judge compares or rates all answers to a record: an item is a record. Attributes as in `_RewardScoring`."""

    unit = "judgments"

    def __init__(self, ctx: Context, this: Round) -> None:
        assert ctx.config.models.judge is not None  # checked with the configuration
        self.model = ctx.config.models.judge
        self.batch_size = max(1, ctx.config.prefer.batch // (len(this.group.models) * ctx.config.prefer.samples))
        self.count = len(this.records)
        self._ctx, self._round = ctx, this

    def items(self) -> Iterator[Answered]:
        """Yields what is scored, a record and all its answers at a time."""
        return read_answers(self._ctx, self._round)

    def steps(self) -> int:
        """Returns the units of progress of the whole round."""
        from synthetic_instruction_tuner.preference.judge import comparisons

        return sum(len(comparisons(answers, self._ctx.config.prefer.judge)) for _, answers in self.items())

    @contextmanager
    def open(self) -> Iterator[Scorer]:
        """Loads the model; its memory is freed when the block ends."""
        from synthetic_instruction_tuner.preference.judge import Judge

        config = self._ctx.config
        with self._ctx.engine(self.model) as (engine, template):
            yield Judge(config.prefer.judge, template, engine, config.seed)


def score_answers(ctx: Context, this: Round) -> None:
    """Scores and commits the answers of a round, batch by batch."""
    scoring = (_JudgeScoring if ctx.config.prefer.scorer == "judge" else _RewardScoring)(ctx, this)
    unit, size = _unit(ctx, this), scoring.batch_size
    have = ctx.store.batch_numbers(unit)
    if len(have) == math.ceil(scoring.count / size):
        return
    done = sum(_steps_of(row) for row in ctx.store.rows(unit))
    items = scoring.items()
    with (
        scoring.open() as scorer,
        ctx.display.task(f"scoring with {scoring.model.name}", scoring.steps(), scoring.unit, done) as advance,
    ):
        for number, batch in enumerate(iter(lambda: list(islice(items, size)), [])):
            if number not in have:
                ctx.commit(unit, number, [_as_row(scored) for scored in scorer.score_answers(batch, done=advance)])


def read_scored_answers(ctx: Context, this: Round) -> Iterator[ScoredAnswers]:
    """Yields the round's records, in order, with their stored answers, scores and judgments."""
    from synthetic_instruction_tuner.preference.judgments import Judgment
    from synthetic_instruction_tuner.preference.scoring import ScoredAnswers

    rows = ctx.store.rows(_unit(ctx, this))
    for record, answers in read_answers(ctx, this):
        scores, judgments = list[float | None](), list[Judgment]()
        while len(scores) < len(answers):  # a batch may end between two answers to a record
            row = next(rows)
            scores += row["scores"]
            judgments += [Judgment(**judgment) for judgment in row.get("judgments", ())]
        scored = [replace(answer, score=score) for answer, score in zip(answers, scores, strict=True)]
        yield ScoredAnswers(record, scored, judgments)


def _unit(ctx: Context, this: Round) -> str:
    return ctx.unit("scores", *([this.group.student] if this.group.student else []), str(this.number))


def _steps_of(row: dict[str, Any]) -> int:
    """Returns how many units of progress a stored row is."""
    return len(row["judgments"] if "judgments" in row else row["scores"])


def _as_row(scored: ScoredAnswers) -> dict[str, Any]:
    scores = {"scores": [answer.score for answer in scored.answers]}
    return scores | ({"judgments": [j.to_json() for j in scored.judgments]} if scored.judgments is not None else {})
