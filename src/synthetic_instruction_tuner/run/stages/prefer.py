"""Stage prefer: models answer one after the other, the answers are scored, and preference pairs are built from them.

It works in rounds, so that few answers are wasted: the first round covers a few more records than pairs
are wanted, each further one as many as the missing pairs need. What a round covers depends only on the rounds before
it. On-policy, each student has its own rounds and its own pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.engines.base import failure_note
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.own_data import pairs as own_pairs
from synthetic_instruction_tuner.run.stages.data_card import write_data_card
from synthetic_instruction_tuner.run.stages.prefer_answers import (
    Group,
    Round,
    groups,
    read_scored_answers,
    score_answers,
    write_answers,
)
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.store import Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder

SPARE = 1.12  # records answered per wanted pair in the first round
LARGEST_ROUND = 10_000  # records of a round; they are held in memory
PORTION = 1000  # pairs committed at once
REWARD_ONLY = ("reward_batch_size", "reward_max_tokens", "reward_input", "reward_label")


def part(config: Config) -> dict[str, Any]:
    """Returns the settings and models that the pairs depend on; of the user's own pairs, the files' content."""
    if config.data.pairs:
        return own_pairs.part(config)
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
    """Returns the files that the stage writes."""
    report = folder.preference_report
    return [folder.pairs, folder.pairs.with_suffix(".parquet"), report, report.with_suffix(".md"), folder.data_card]


def run(ctx: Context) -> Outcome:
    """Builds the pairs, or reads the user's own."""
    if ctx.config.data.pairs:
        return own_pairs.run(ctx)
    from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
    from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
    from synthetic_instruction_tuner.preference.report import PreferenceReport

    settings = ctx.config.prefer
    statistics = PairStatistics(settings, ctx.config.report.samples)
    ctx.store.drop_unit(ctx.unit())
    for group in groups(ctx.config, ctx.folder):
        _build_pairs(ctx, group, PreferenceBuilder(settings, ctx.config.seed, group.student, statistics))
    report = PreferenceReport.from_statistics(statistics)
    report.write(ctx.folder.preference_report)
    ctx.store.set_fact("preference_report", report.to_json())
    ctx.store.set_fact("own_pairs", [])
    failed = failure_note(statistics.failed, "answers")
    ctx.require_rows(
        statistics.pairs,
        "preference pairs",
        "; ".join(filter(None, (report.main_skip_reason(), failed))),
        "Use models that differ more, more samples, or looser guards, such as prefer.min_margin.",
    )
    export_rows(ctx.store.rows(ctx.unit()), ctx.folder.pairs)
    write_data_card(ctx)
    skipped = f"{report.skipped} of {report.pairs + report.skipped} records skipped" if report.skipped else ""
    note = "; ".join(filter(None, (skipped, failed)))
    return Outcome(ctx.store.unit_digest(ctx.unit()), statistics.records, statistics.pairs, note)


def _build_pairs(ctx: Context, group: Group, builder: PreferenceBuilder) -> None:
    """Builds and commits a group's pairs, round by round, until there are enough or no records are left."""
    records = (Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("filter")))
    for number in count():
        this = Round(group, number, list(islice(records, _round_size(builder))))
        if not this.records:
            return
        for model, adapter in group.models:
            write_answers(ctx, builder, this, model, adapter)
        score_answers(ctx, this)
        made = [builder.add(*scored) for scored in read_scored_answers(ctx, this)]
        _commit_pairs(ctx, [one for one in made if isinstance(one, PreferencePair)])
        if builder.complete:
            return


def _round_size(builder: PreferenceBuilder) -> int:
    """Returns how many records the next round covers, from the share of records that gave a pair so far."""
    missing = builder.config.pairs - builder.pairs
    size = missing / max(builder.pairs / builder.records, 0.1) if builder.records else missing * SPARE
    return min(math.ceil(size), LARGEST_ROUND)


def _commit_pairs(ctx: Context, pairs: Sequence[PreferencePair]) -> None:
    first = len(ctx.store.batch_numbers(ctx.unit()))
    for number, start in enumerate(range(0, len(pairs), PORTION), first):
        ctx.commit(ctx.unit(), number, [pair.to_json() for pair in pairs[start : start + PORTION]])


def so_far(config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many answers are written; how many it takes depends on how many give a pair."""
    if config.data.pairs:
        return Amount(store.row_count(f"prefer:{key}"), None, "pairs")
    models = [model.name for group in groups(config, folder) for model, _ in group.models]
    answers = 0
    for number in count():
        found = sum(store.row_count(f"prefer:{key}:answers:{number}:{name}") for name in models)
        if not found:
            return Amount(answers, None, "answers")
        answers += found
    raise AssertionError


STAGE = Stage(
    "prefer",
    "Prefer: models answer, the best answer is chosen",
    ("filter",),
    part,
    outputs,
    run,
    version=2,
    units=("records", "pairs"),
    so_far=so_far,
)
"""The stage as it runs on the responders' answers; see `pipeline.ordered` for on-policy answers after SFT."""
