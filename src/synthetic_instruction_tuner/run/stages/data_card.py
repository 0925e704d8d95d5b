"""Writes the data card of a run from what the store holds.

The stages prefer and report do, so that the card is always up to date.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.run.roles import data_models
from synthetic_instruction_tuner.run.stages.stage import FORMATS, Context


def write_data_card(ctx: Context) -> None:
    """Writes the card beside the data."""
    from synthetic_instruction_tuner.reporting.data_card import CardFacts, DataSet, Source, data_card
    from synthetic_instruction_tuner.reporting.diversity import diversity
    from synthetic_instruction_tuner.reporting.model_facts import model_facts

    config, store = ctx.config, ctx.store
    formats: dict[str, str] = store.fact(FORMATS) or {}
    rows = {name: _unit(ctx, name) for name in ("generate", "filter", "prefer")}
    parts = [
        ("preference", "prefer", ctx.folder.pairs, "preference pairs: a chosen and a rejected answer"),
        ("filtered", "filter", ctx.folder.filtered, "records that passed the rules"),
        (
            "raw",
            "generate",
            ctx.folder.raw,
            "all records as they were " + ("read" if config.data.given else "generated"),
        ),
    ]
    folder = ctx.folder.data_card.parent
    facts = CardFacts(
        title=config.report.title,
        sets=[
            DataSet(
                name, file.with_suffix(".parquet").relative_to(folder).as_posix(), store.row_count(rows[stage]), what
            )
            for name, stage, file, what in parts
            if not config.data.given or store.row_count(rows[stage])
        ],
        models=[
            replace(model_facts(role, model), held=formats.get(model.path, "")) for role, model in data_models(config)
        ],
        seed=config.seed,
        language=config.filter.language if config.data.has_records else "",
        filter_report=store.fact("filter_report") or {},
        preference_report=store.fact("preference_report") or {},
        diversity=diversity(store.rows(rows["filter"])),
        samples=list(islice(store.rows(rows["filter"]), config.report.samples)),
        on_policy=config.prefer.on_policy,
        sources=[
            Source(**{name: value for name, value in source.items() if name != "size"}) for source in own_sources(ctx)
        ],
        source_license=config.data.license,
        magpie=config.data.magpie,
    )
    text, file = data_card(facts), ctx.folder.data_card
    if not file.is_file() or file.read_bytes() != text.encode("utf-8", "backslashreplace"):
        write_text(file, text)


def own_sources(ctx: Context) -> list[dict[str, Any]]:
    """Returns the files of the user's own that the stages have read; see `run.own_data.records.Read`."""
    return [source for name in ("own_records", "own_pairs") for source in ctx.store.fact(name) or ()]


def _unit(ctx: Context, stage: str) -> str:
    return ctx.unit() if stage == ctx.stage else ctx.input_unit(stage)
