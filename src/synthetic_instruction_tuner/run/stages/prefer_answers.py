"""Stage prefer, the answers: which models answer which records; answers that are in the store are not written again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.records import Answer, Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.stage import Context

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.scoring import Answered


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
    unit, samples = _unit(ctx, this, model), ctx.config.prefer.samples
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
                ctx.commit(unit, number, [_as_row(answer) for answer in answers])


def read_answers(ctx: Context, this: Round) -> Iterator[Answered]:
    """Yields the round's records, in order, with the stored answers of all its models, not yet scored."""
    rows = [ctx.store.rows(_unit(ctx, this, model)) for model, _ in this.group.models]
    for record in this.records:
        yield record, [Answer(**row) for mine in rows for row in islice(mine, ctx.config.prefer.samples)]


def _unit(ctx: Context, this: Round, model: ModelConfig) -> str:
    return ctx.unit("answers", str(this.number), model.name)


def _as_row(answer: Answer) -> dict[str, Any]:
    row = {
        "record_id": answer.record_id,
        "model": answer.model,
        "text": answer.text,
        "truncated": answer.truncated,
        "sample": answer.sample,
    }
    return row | ({"error": answer.error} if answer.error else {})
