"""The data card of a run, from what the store holds.

The stages prefer and report write it, so that the card is always up to date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.roles import data_models
from synthetic_instruction_tuner.run.stages.stage import FORMATS, Context
from synthetic_instruction_tuner.run.store import Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.reporting.data_card import CardFacts

AS_READ, AS_GENERATED = "all records as they were read", "all records as they were generated"


def write_data_card(ctx: Context) -> None:
    """Writes the card beside the data."""
    from synthetic_instruction_tuner.reporting.data_card import data_card
    from synthetic_instruction_tuner.reporting.language.translation import speaking

    units = {name: _unit(ctx, name) for name in ("generate", "filter", "prefer")}
    facts, file = data_card_facts(ctx.config, ctx.folder, ctx.store, units), ctx.folder.data_card
    with speaking(ctx.config.report.language):
        text = data_card(facts)
    if not file.is_file() or file.read_bytes() != text.encode("utf-8", "backslashreplace"):
        write_text(file, text)


def data_card_facts(config: Config, folder: RunFolder, store: Store, units: Mapping[str, str]) -> CardFacts:
    """Returns what the card of a run's data says.

    Args:
        config: the run's settings.
        folder: the run.
        store: its store.
        units: the names of the units with the data, by stage; a stage that is not among them has no data yet.
    """
    from synthetic_instruction_tuner.reporting.data_card import CardFacts, DataSet, Source
    from synthetic_instruction_tuner.reporting.diversity import diversity
    from synthetic_instruction_tuner.reporting.model_facts import model_facts

    formats: dict[str, str] = store.fact(FORMATS) or {}
    parts = [
        ("preference", "prefer", folder.pairs, "preference pairs: a chosen and a rejected answer"),
        ("filtered", "filter", folder.filtered, "records that passed the rules"),
        ("raw", "generate", folder.raw, AS_READ if config.data.given else AS_GENERATED),
    ]
    place = folder.data_card.parent
    kept = units.get("filter", "")
    return CardFacts(
        title=config.report.title,
        sets=[
            DataSet(
                name, file.with_suffix(".parquet").relative_to(place).as_posix(), store.row_count(units[stage]), what
            )
            for name, stage, file, what in parts
            if stage in units and (not config.data.given or store.row_count(units[stage]))
        ],
        models=[
            replace(model_facts(role, model), held=formats.get(model.path, "")) for role, model in data_models(config)
        ],
        seed=config.seed,
        language=config.filter.language if config.data.has_records else "",
        filter_report=(store.fact("filter_report") or {}) if kept else {},
        preference_report=(store.fact("preference_report") or {}) if "prefer" in units else {},
        diversity=diversity(store.rows(kept)),
        samples=list(islice(store.rows(kept), config.report.samples)),
        on_policy=config.prefer.on_policy,
        sources=[Source(**{name: value for name, value in one.items() if name != "size"}) for one in sources(store)],
        source_license=config.data.license,
        magpie=config.data.magpie,
    )


def sources(store: Store) -> list[dict[str, Any]]:
    """Returns the files of the user's own that the stages have read; see `run.own_data.records.Read`."""
    return [source for name in ("own_records", "own_pairs") for source in store.fact(name) or ()]


def _unit(ctx: Context, stage: str) -> str:
    return ctx.unit() if stage == ctx.stage else ctx.input_unit(stage)
