"""Writes the data card of a run from what the store holds.

The stages prefer and report do, so that the card is always up to date.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.run.stages.stage import Context


def write_data_card(ctx: Context) -> None:
    """Writes the card beside the data."""
    from synthetic_instruction_tuner.reporting.data_card import CardFacts, DataSet, data_card
    from synthetic_instruction_tuner.reporting.diversity import diversity
    from synthetic_instruction_tuner.reporting.model_facts import model_facts

    config, store = ctx.config, ctx.store
    rows = {name: _unit(ctx, name) for name in ("generate", "filter", "prefer")}
    parts = [
        ("preference", "prefer", ctx.folder.pairs, "preference pairs: a chosen and a rejected answer"),
        ("filtered", "filter", ctx.folder.filtered, "records that passed the rules"),
        ("raw", "generate", ctx.folder.raw, "all records as they were generated"),
    ]
    folder = ctx.folder.data_card.parent
    facts = CardFacts(
        title=config.report.title,
        sets=[
            DataSet(
                name, file.with_suffix(".parquet").relative_to(folder).as_posix(), store.row_count(rows[stage]), what
            )
            for name, stage, file, what in parts
        ],
        models=[model_facts(role, model) for role, model in used_models(config)],
        seed=config.seed,
        language=config.filter.language,
        filter_report=store.measurement("filter_report") or {},
        preference_report=store.measurement("preference_report") or {},
        diversity=diversity(store.rows(rows["filter"])),
        samples=list(islice(store.rows(rows["filter"]), config.report.samples)),
        on_policy=config.prefer.on_policy,
    )
    text, file = data_card(facts), ctx.folder.data_card
    if not file.is_file() or file.read_bytes() != text.encode("utf-8", "backslashreplace"):
        write_text(file, text)


def used_models(config: Config) -> list[tuple[str, ModelConfig]]:
    """Returns the models that wrote the data, tagged them or chose among them, with their roles."""
    models, rules = config.models, config.filter
    own = config.prefer.on_policy != "off"
    judged = config.prefer.scorer == "judge" and models.judge is not None
    found: list[tuple[str, Any]] = [("generator", models.generator)]
    found += [("tagging model", rules.tags.model)] if rules.tags.model else []
    found += [("student", m) for m in models.students] if own else [("responder", m) for m in models.responders]
    found += [("judge", models.judge)] if judged else []
    return found + ([("reward model", models.reward)] if not judged or rules.min_reward is not None else [])


def _unit(ctx: Context, stage: str) -> str:
    return ctx.unit() if stage == ctx.stage else ctx.input_unit(stage)
