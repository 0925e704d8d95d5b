"""The long part of stage prefer: answers and their scores, batch by batch; what is in the store is not made again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.records import Answer, Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.stage import Context

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.judge import JudgeTally
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder

Answered = tuple[Record, list[Answer]]


@dataclass(frozen=True, slots=True)
class Group:
    """Models whose answers are compared with each other.

    Attributes:
        student: the student that the pairs are for; None: all of them.
        models: the models, each with its adapter if it has one.
    """

    student: str | None
    models: tuple[tuple[ModelConfig, Path | None], ...]


def groups(config: Config, folder: RunFolder) -> list[Group]:
    """Returns the responders as one group, or on-policy each student by itself."""
    if config.prefer.on_policy == "off":
        return [Group(None, tuple((model, None) for model in config.models.responders))]
    tuned = config.prefer.on_policy == "sft"
    return [Group(m.name, ((m, folder.adapter("sft", m.name) if tuned else None),)) for m in config.models.students]


def scored(
    ctx: Context,
    builder: PreferenceBuilder,
    group: Group,
    number: int,
    records: Sequence[Record],
    judged: JudgeTally | None,
) -> Iterator[Answered]:
    """Yields the records of a round, in order, with the scored answers of all the group's models.

    Args:
        number: the round's.
        records: its records.
        judged: where a judge scores, counts its verdicts.
    """
    for model, adapter in group.models:
        _write_answers(ctx, builder, model, adapter, number, records)
    if judged is not None:
        _write_verdicts(ctx, group, number, records)
        yield from _with_verdicts(ctx, group, number, records, judged)
    else:
        _write_scores(ctx, group, number, records)
        scores = ctx.store.rows(_unit(ctx, group, "scores", number))
        for record, answers in _answered(ctx, group, number, records):
            yield record, [replace(answer, score=next(scores)["score"]) for answer in answers]


def _unit(ctx: Context, group: Group, what: str, number: int) -> str:
    return ctx.unit(what, *([group.student] if group.student else []), str(number))


def _write_answers(
    ctx: Context,
    builder: PreferenceBuilder,
    model: ModelConfig,
    adapter: Path | None,
    number: int,
    records: Sequence[Record],
) -> None:
    unit, samples = ctx.unit("answers", str(number), model.name), ctx.config.prefer.samples
    size = max(1, ctx.config.prefer.batch // samples)
    batches = list(enumerate(records[i : i + size] for i in range(0, len(records), size)))
    have = ctx.store.batch_numbers(unit)
    if len(have) == len(batches):
        return
    done = ctx.store.row_count(unit)
    with (
        ctx.engine(model, adapter, student=ctx.config.prefer.on_policy != "off") as (engine, template),
        ctx.display.task(f"answering with {model.name}", len(records) * samples, "answers", done) as advance,
    ):
        for at, batch in batches:
            if at not in have:
                answers = builder.answer(batch, model.name, template, engine, done=advance)
                ctx.commit(unit, at, [_as_row(a) for a in answers])


def _answered(ctx: Context, group: Group, number: int, records: Sequence[Record]) -> Iterator[Answered]:
    """Yields the records with all answers of the group's models, not yet scored."""
    rows = [ctx.store.rows(ctx.unit("answers", str(number), model.name)) for model, _ in group.models]
    for record in records:
        yield record, [Answer(**row) for mine in rows for row in islice(mine, ctx.config.prefer.samples)]


def _write_scores(ctx: Context, group: Group, number: int, records: Sequence[Record]) -> None:
    from synthetic_instruction_tuner.preference.reward.model import open_reward_model

    unit, size = _unit(ctx, group, "scores", number), 4 * ctx.config.prefer.batch
    count = len(records) * len(group.models) * ctx.config.prefer.samples
    have = ctx.store.batch_numbers(unit)
    if len(have) == math.ceil(count / size):
        return
    pairs = ((r, a) for r, answers in _answered(ctx, group, number, records) for a in answers)
    model = ctx.config.models.reward
    with (
        open_reward_model(model, ctx.config.prefer, ctx.config.engine, ctx.hardware) as reward,
        ctx.display.task(f"scoring with {model.name}", count, "answers", ctx.store.row_count(unit)) as advance,
    ):
        for at, batch in enumerate(iter(lambda: list(islice(pairs, size)), [])):
            if at not in have:
                items = [(record.prompt_messages(), answer.text) for record, answer in batch]
                scores = reward.score(items, done=advance)
                ctx.commit(unit, at, [{"score": s if math.isfinite(s) else None} for s in scores])


def _write_verdicts(ctx: Context, group: Group, number: int, records: Sequence[Record]) -> None:
    from synthetic_instruction_tuner.preference.judge import Judge, comparisons

    unit, settings, model = _unit(ctx, group, "verdicts", number), ctx.config.prefer, ctx.config.models.judge
    assert model is not None  # checked with the configuration
    size = max(1, settings.batch // (len(group.models) * settings.samples))
    have = ctx.store.batch_numbers(unit)
    if len(have) == math.ceil(len(records) / size):
        return
    answered = _answered(ctx, group, number, records)
    done = sum(len(row["verdicts"]) for row in ctx.store.rows(unit))
    total = sum(len(comparisons(answers, settings.judge)) for _, answers in _answered(ctx, group, number, records))
    with (
        ctx.engine(model) as (engine, template),
        ctx.display.task(f"judging with {model.name}", total, "verdicts", done) as advance,
    ):
        judge = Judge(settings.judge, template, engine, ctx.config.seed)
        for at, batch in enumerate(iter(lambda: list(islice(answered, size)), [])):
            if at not in have:
                rows = judge.judge(batch, done=advance)
                ctx.commit(unit, at, [{"verdicts": [v.to_json() for v in verdicts]} for verdicts in rows])


def _with_verdicts(
    ctx: Context, group: Group, number: int, records: Sequence[Record], judged: JudgeTally
) -> Iterator[Answered]:
    from synthetic_instruction_tuner.preference.judge import Verdict, scores

    rows = ctx.store.rows(_unit(ctx, group, "verdicts", number))
    for record, answers in _answered(ctx, group, number, records):
        verdicts = [Verdict(**verdict) for verdict in next(rows)["verdicts"]]
        judged.add(verdicts)
        found = scores(len(answers), verdicts)
        yield record, [replace(answer, score=score) for answer, score in zip(answers, found, strict=True)]


def _as_row(answer: Answer) -> dict[str, Any]:
    row = {
        "record_id": answer.record_id,
        "model": answer.model,
        "text": answer.text,
        "truncated": answer.truncated,
        "sample": answer.sample,
    }
    return row | ({"error": answer.error} if answer.error else {})
