"""Stage prefer: models answer one after the other, answers are scored, pairs come out.

It works in rounds: a first one over a few more records than pairs are wanted, then over as many more as are missing, so
that few answers are written in vain. What a round covers depends only on the rounds before it. On-policy, each student
has its own rounds and its own pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.data_card import write_data_card
from synthetic_instruction_tuner.run.stages.given_up import given_up
from synthetic_instruction_tuner.run.stages.prefer_answers import Answered, Group, groups, scored
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.judge import JudgeTally
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.tally import Tally

SPARE = 1.12  # records answered per wanted pair in the first round
LARGEST_ROUND = 10_000  # records of a round, which are held in memory
PORTION = 1000  # pairs committed at once
REWARD_ONLY = ("reward_batch_size", "reward_max_tokens", "reward_input", "reward_label")


def part(config: Config) -> dict[str, Any]:
    """Returns what the pairs depend on."""
    settings, models = config.prefer.model_dump(mode="json"), config.models
    judged = config.prefer.scorer == "judge" and models.judge is not None
    for name in REWARD_ONLY if judged else ("judge",):
        settings.pop(name)
    own = config.prefer.on_policy != "off"
    return {
        "prefer": settings,
        "responders": [identity(m) for m in (models.students if own else models.responders)],
        "scorer": identity(models.judge if judged and models.judge else models.reward),
        "seed": config.seed,
        "engine": config.engine.key_part(),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    report = folder.preference_report
    return [folder.pairs, folder.pairs.with_suffix(".parquet"), report, report.with_suffix(".md"), folder.data_card]


def run(ctx: Context) -> Outcome:
    """Builds the pairs."""
    from synthetic_instruction_tuner.preference.judge import JudgeTally
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.report import PreferenceReport
    from synthetic_instruction_tuner.preference.tally import Tally

    settings = ctx.config.prefer
    builder, tally = PreferenceBuilder(settings, ctx.config.seed), Tally(ctx.config.report.samples)
    judged = JudgeTally(settings.judge) if settings.scorer == "judge" else None
    passed_over: Counter[Any] = Counter()
    failed: Counter[str] = Counter()
    covered = 0
    ctx.store.drop_unit(ctx.unit())
    for group in groups(ctx.config, ctx.folder):
        progress = _build(ctx, builder, group, tally, judged)
        covered += progress.covered
        failed += progress.failed
        passed_over += builder.passed_over
    report = PreferenceReport.from_tally(tally, settings, passed_over, judged.to_json() if judged else None)
    report.write(ctx.folder.preference_report)
    ctx.store.measure("preference_report", report.to_json())
    ctx.require_rows(
        tally.pairs,
        "preference pairs",
        "; ".join(filter(None, (report.main_refusal(), given_up(failed, "answers")))),
        "Use models that differ more, more samples, or looser guards, such as prefer.min_margin.",
    )
    export_rows(ctx.store.rows(ctx.unit()), ctx.folder.pairs)
    write_data_card(ctx)
    note = "; ".join(filter(None, (_note(report.pairs, report.refused), given_up(failed, "answers"))))
    return Outcome(ctx.store.unit_digest(ctx.unit()), covered, tally.pairs, note)


@dataclass(slots=True)
class _Progress:
    """How far a group is: pairs built, records answered, and why the engine gave answers up."""

    pairs: int = 0
    covered: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def _build(
    ctx: Context, builder: PreferenceBuilder, group: Group, tally: Tally, judged: JudgeTally | None
) -> _Progress:
    """Builds and commits one group's pairs; returns how far it came."""
    progress, first = _Progress(), tally.pairs
    answered = _rounds(ctx, builder, group, progress, tally, judged)
    portion: list[dict[str, Any]] = []
    batches = count(len(ctx.store.batch_numbers(ctx.unit())))
    for made in builder.pairs(answered):
        if isinstance(made, PreferencePair):
            made = replace(made, id=f"pair-{first + progress.pairs:06d}", student=group.student)
            progress.pairs += 1
            portion.append(made.to_json())
        tally.add(made)
        if len(portion) == PORTION:
            ctx.commit(ctx.unit(), next(batches), portion)
            portion = []
    for _ in answered:  # the rest of the last round was answered too, and counts in the statistics
        pass
    if portion:
        ctx.commit(ctx.unit(), next(batches), portion)
    return progress


def _rounds(
    ctx: Context,
    builder: PreferenceBuilder,
    group: Group,
    progress: _Progress,
    tally: Tally,
    judged: JudgeTally | None,
) -> Iterator[Answered]:
    """Yields records with their scored answers, as long as pairs are missing and records are there."""
    wanted = ctx.config.prefer.pairs
    records = (Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("filter")))
    size = math.ceil(wanted * SPARE)
    for number in count():
        chosen = list(islice(records, min(size, LARGEST_ROUND)))
        if not chosen:
            return
        for record, answers in scored(ctx, builder, group, number, chosen, judged):
            written = [answer for answer in answers if not answer.error]  # the others are no model's
            progress.failed.update(answer.error for answer in answers if answer.error)
            tally.add_answers(written)
            progress.covered += 1
            yield record, written
        missing = wanted - progress.pairs
        if missing <= 0:
            return
        size = math.ceil(missing / max(progress.pairs / progress.covered, 0.1))


def _note(pairs: int, refused: int) -> str:
    return f"{refused} of {pairs + refused} records refused" if refused else ""


STAGE = Stage("prefer", "Prefer: models answer, the best answer is picked", ("filter",), part, outputs, run, 2)
"""The stage as it runs on the responders' answers; see `pipeline.ordered` for on-policy answers after SFT."""
