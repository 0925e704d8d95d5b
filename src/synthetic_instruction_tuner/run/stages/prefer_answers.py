"""The long part of stage prefer: models answer a round's records, and a reward model or a judge scores the answers.

Both are committed batch by batch; what is in the store is not computed again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.records import Answer, Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import reader_format
from synthetic_instruction_tuner.run.stages.stage import Context

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.scoring import Answered, ScoredAnswers, Scorer


@dataclass(frozen=True, slots=True)
class Group:
    """Models whose answers are compared with each other.

    Attributes:
        student: the student that the pairs are for; None: all of them.
        models: the models, each with its adapter if it has one.
    """

    student: str | None
    models: tuple[tuple[ModelConfig, Path | None], ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Records that a group's models answer, and the round's number, from 0."""

    group: Group
    number: int
    records: Sequence[Record]


def groups(config: Config, folder: RunFolder) -> list[Group]:
    """Returns the responders as one group, or on-policy each student by itself."""
    if config.prefer.on_policy == "off":
        return [Group(None, tuple((model, None) for model in config.models.responders))]
    tuned = config.prefer.on_policy == "sft"
    return [Group(m.name, ((m, folder.adapter("sft", m.name) if tuned else None),)) for m in config.models.students]


def write_answers(
    ctx: Context, builder: PreferenceBuilder, this: Round, model: ModelConfig, adapter: Path | None
) -> None:
    """Writes and commits one model's answers to the round's records, batch by batch."""
    unit, samples = _answers_unit(ctx, this, model), ctx.config.prefer.samples
    size = max(1, ctx.config.prefer.batch // samples)
    batches = [this.records[start : start + size] for start in range(0, len(this.records), size)]
    have = ctx.store.batch_numbers(unit)
    if len(have) == len(batches):
        return
    done = ctx.store.row_count(unit)
    with (
        ctx.engine(model, adapter, student=ctx.config.prefer.on_policy != "off") as (engine, template),
        ctx.display.task(f"answering with {model.name}", len(this.records) * samples, "answers", done) as advance,
    ):
        for number, batch in enumerate(batches):
            if number not in have:
                answers = builder.answer(batch, model.name, template, engine, done=advance)
                ctx.commit(unit, number, [_answer_row(answer) for answer in answers])


def read_answers(ctx: Context, this: Round) -> Iterator[Answered]:
    """Yields the round's records, in order, with the stored answers of all its models, not yet scored."""
    rows = [ctx.store.rows(_answers_unit(ctx, this, model)) for model, _ in this.group.models]
    for record in this.records:
        yield record, [Answer(**row) for mine in rows for row in islice(mine, ctx.config.prefer.samples)]


def _answers_unit(ctx: Context, this: Round, model: ModelConfig) -> str:
    return ctx.unit("answers", str(this.number), model.name)


def _answer_row(answer: Answer) -> dict[str, Any]:
    row = {
        "record_id": answer.record_id,
        "model": answer.model,
        "text": answer.text,
        "truncated": answer.truncated,
        "sample": answer.sample,
    }
    return row | ({"error": answer.error} if answer.error else {})


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
        """Yields what is scored: a record with one answer at a time."""
        return ((record, [answer]) for record, answers in read_answers(self._ctx, self._round) for answer in answers)

    def steps(self) -> int:
        """Returns the units of progress of the whole round."""
        return self.count

    @contextmanager
    def open(self) -> Iterator[Scorer]:
        """Loads the model; its memory is freed when the block ends."""
        from synthetic_instruction_tuner.preference.reward.model import open_reward_model

        ctx = self._ctx
        ctx.opens(self.model, reader_format(ctx.config, ctx.hardware))
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
        """Yields what is scored: a record with all its answers at a time."""
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
    unit, size = _scores_unit(ctx, this), scoring.batch_size
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
                ctx.commit(unit, number, [_scores_row(scored) for scored in scorer.score_answers(batch, done=advance)])


def read_scored_answers(ctx: Context, this: Round) -> Iterator[ScoredAnswers]:
    """Yields the round's records, in order, with their stored answers, scores and judgments."""
    from synthetic_instruction_tuner.preference.judgments import Judgment
    from synthetic_instruction_tuner.preference.scoring import ScoredAnswers

    rows = ctx.store.rows(_scores_unit(ctx, this))
    for record, answers in read_answers(ctx, this):
        scores, judgments = list[float | None](), list[Judgment]()
        while len(scores) < len(answers):  # a batch may end between two answers to a record
            row = next(rows)
            scores += row["scores"]
            judgments += [Judgment(**judgment) for judgment in row.get("judgments", ())]
        scored = [replace(answer, score=score) for answer, score in zip(answers, scores, strict=True)]
        yield ScoredAnswers(record, scored, judgments)


def _scores_unit(ctx: Context, this: Round) -> str:
    return ctx.unit("scores", *([this.group.student] if this.group.student else []), str(this.number))


def _steps_of(row: dict[str, Any]) -> int:
    """Returns how many units of progress a stored row is."""
    return len(row["judgments"] if "judgments" in row else row["scores"])


def _scores_row(scored: ScoredAnswers) -> dict[str, Any]:
    scores = {"scores": [answer.score for answer in scored.answers]}
    return scores | ({"judgments": [j.to_json() for j in scored.judgments]} if scored.judgments is not None else {})
