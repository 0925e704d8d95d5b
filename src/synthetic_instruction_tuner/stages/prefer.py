"""Stage prefer: responders answer one after the other, the reward model scores, pairs come out.

It works in rounds: a first one over a few more records than pairs are wanted, then over as many more as are missing, so
that no answer is written in vain. What a round covers depends only on the rounds before it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..folder import RunFolder
from ..modelfiles import identity
from ..recordfiles import export_rows
from ..records import Answer, Record
from ..settings import ModelConfig
from .context import Context, Outcome, Stage

if TYPE_CHECKING:
    from ..preference.preference_builder import PreferenceBuilder

SPARE = 1.12  # records answered per wanted pair in the first round


def part(config: Config) -> dict[str, Any]:
    """Returns what the pairs depend on."""
    return {
        "prefer": config.prefer.model_dump(mode="json"),
        "responders": [identity(m) for m in config.models.responders],
        "reward": identity(config.models.reward),
        "seed": config.seed,
        "engine": config.engine.model_dump(mode="json"),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.preference_report
    return [folder.pairs, folder.pairs.with_suffix(".parquet"), report, report.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Builds the pairs."""
    from ..preference.preference_builder import PreferenceBuilder
    from ..preference.report import PreferenceReport

    config = ctx.config
    records = [Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("filter"))]
    builder = PreferenceBuilder(config.prefer, config.seed)
    answers: dict[str, list[Answer]] = {}
    covered, size = 0, math.ceil(config.prefer.pairs * SPARE)
    pairs, refusals = builder.build([], answers)
    for round_number in range(len(records)):
        part_of = records[covered : covered + size]
        answers.update(_answer_round(ctx, builder, round_number, part_of))
        covered += len(part_of)
        pairs, refusals = builder.build(records[:covered], answers)
        missing = config.prefer.pairs - len(pairs)
        if missing <= 0 or covered >= len(records):
            break
        size = math.ceil(missing / max(len(pairs) / covered, 0.1))
    report = PreferenceReport.from_pairs(
        pairs, refusals, [a for record in records[:covered] for a in answers[record.id]], samples=config.report.samples
    )
    report.write(ctx.folder.preference_report)
    ctx.store.measure("preference_report", report.to_json())
    ctx.require_rows(
        len(pairs),
        "preference pairs",
        report.main_refusal(),
        "Use responders that differ more, or lower prefer.min_margin.",
    )
    rows = [pair.to_json() for pair in pairs]
    ctx.store.drop_unit(ctx.unit())
    ctx.commit(ctx.unit(), 0, rows)
    export_rows(rows, ctx.folder.pairs)
    return Outcome(ctx.store.unit_digest(ctx.unit()), covered, len(rows), "")


def _answer_round(
    ctx: Context, builder: PreferenceBuilder, round_number: int, records: list[Record]
) -> dict[str, list[Answer]]:
    written: dict[str, list[Answer]] = {record.id: [] for record in records}
    for model in ctx.config.models.responders:
        for answer in _answers(ctx, builder, model, round_number, records):
            written[answer.record_id].append(answer)
    unscored = [(record, answer) for record in records for answer in written[record.id]]
    scores = _scores(ctx, round_number, unscored)
    scored: dict[str, list[Answer]] = {record.id: [] for record in records}
    for (record, answer), score in zip(unscored, scores, strict=True):
        scored[record.id].append(
            Answer(
                answer.record_id, answer.model, answer.text, answer.truncated, score if math.isfinite(score) else None
            )
        )
    return scored


def _answers(
    ctx: Context, builder: PreferenceBuilder, model: ModelConfig, round_number: int, records: list[Record]
) -> list[Answer]:
    unit, size = ctx.unit("answers", str(round_number), model.name), ctx.config.prefer.batch
    batches = list(enumerate(records[i : i + size] for i in range(0, len(records), size)))
    have = ctx.store.batch_numbers(unit)
    if len(have) < len(batches):
        with (
            ctx.engine(model) as (engine, template),
            ctx.display.task(
                f"answering with {model.name}", len(records), "answers", ctx.store.row_count(unit)
            ) as advance,
        ):
            for number, batch in batches:
                if number not in have:
                    answers = builder.answer(batch, model.name, template, engine, done=advance)
                    ctx.commit(unit, number, [_as_row(a) for a in answers])
    return [Answer(**row) for row in ctx.store.rows(unit)]


def _scores(ctx: Context, round_number: int, answers: list[tuple[Record, Answer]]) -> list[float]:
    from ..preference.reward_model import open_reward_model

    unit, size = ctx.unit("scores", str(round_number)), 4 * ctx.config.prefer.batch
    batches = list(enumerate(answers[i : i + size] for i in range(0, len(answers), size)))
    have = ctx.store.batch_numbers(unit)
    if len(have) < len(batches):
        model = ctx.config.models.reward
        with (
            open_reward_model(model, ctx.config.prefer, ctx.config.engine, ctx.hardware) as reward,
            ctx.display.task(
                f"scoring with {model.name}", len(answers), "answers", ctx.store.row_count(unit)
            ) as advance,
        ):
            for number, batch in batches:
                if number not in have:
                    items = [(record.prompt_messages(), answer.text) for record, answer in batch]
                    scores = reward.score(items, done=advance)
                    ctx.commit(unit, number, [{"score": s if math.isfinite(s) else None} for s in scores])
    return [math.nan if row["score"] is None else row["score"] for row in ctx.store.rows(unit)]


def _as_row(answer: Answer) -> dict[str, Any]:
    return {
        "record_id": answer.record_id,
        "model": answer.model,
        "text": answer.text,
        "truncated": answer.truncated,
        "score": answer.score,
    }


STAGE = Stage("prefer", "Prefer: responders answer, the reward model picks", ("filter",), part, outputs, run)
