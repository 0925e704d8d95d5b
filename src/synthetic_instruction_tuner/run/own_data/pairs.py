"""The user's own preference pairs in stage prefer: read, counted and committed; no model is loaded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.data_files.own_data.sources import read_pairs
from synthetic_instruction_tuner.run.own_data.needs import expected_rows, named
from synthetic_instruction_tuner.run.own_data.reading import Read, contents, read_files, write_malformed
from synthetic_instruction_tuner.run.own_data.records import PORTION
from synthetic_instruction_tuner.run.stages.data_card import write_data_card
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome


def part(config: Config) -> dict[str, Any]:
    """Returns what the pairs depend on: the files' content."""
    return contents(config, ("pairs",))


def run(ctx: Context) -> Outcome:
    """Reads the pairs; the guards do not look at them."""
    from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
    from synthetic_instruction_tuner.preference.report import PreferenceReport

    settings = ctx.config.prefer.model_copy(update={"scorer": "reward"})
    statistics, read = PairStatistics(settings, ctx.config.report.samples), Read()
    ctx.store.drop_unit(ctx.unit())
    reader = partial(read_pairs, keep_thoughts=ctx.config.data.keep_thoughts)
    numbered = enumerate(read_files(ctx.config, "pairs", read, reader))
    pairs = (replace(pair, id=f"pair-{number:06d}") for number, pair in numbered)
    with ctx.display.task("reading", expected_rows(ctx.config, "pairs"), "pairs") as advance:
        for number in count():
            if not (portion := list(islice(pairs, PORTION))):
                break
            for pair in portion:
                statistics.add_pair(pair)
            ctx.commit(ctx.unit(), number, [pair.to_json() for pair in portion])
            advance(len(portion))
    report = PreferenceReport.from_statistics(statistics, f"as they stand in {named(ctx.config.data.pairs)}")
    report.write(ctx.folder.preference_report)
    ctx.store.set_fact("preference_report", report.to_json())
    ctx.store.set_fact("own_pairs", read.sources)
    write_malformed(ctx.folder.pairs.parent / "malformed.jsonl", read.malformed)
    export_rows(ctx.store.rows(ctx.unit()), ctx.folder.pairs)
    write_data_card(ctx)
    return Outcome(ctx.store.unit_digest(ctx.unit()), None, statistics.pairs, f"skipped: {read.note()}")
