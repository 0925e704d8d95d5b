"""``sit compare``: the full comparison, a table per benchmark, for the screen or as Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from synthetic_instruction_tuner.cli.options import Json, RunDir, Wide, existing_run
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark, plain_name
from synthetic_instruction_tuner.methods import BASE, VARIANTS
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.store import Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow

ALPHA = 0.01
LEGEND = f"value ± standard error; * above, - below the base model (paired test, p < {ALPHA})"


class Format(StrEnum):
    """How the comparison is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def compare(
    run_dir: RunDir = None,
    format_: Annotated[
        Format, typer.Option("--format", help="How to print it; csv and json have every column.")
    ] = Format.TEXT,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Prints the comparison."""
    _, folder = existing_run(run_dir)
    rows = stored_comparison(folder)
    if not rows:
        raise UserError(
            "Nothing has been evaluated yet.", f"{shown(folder.root)} holds no comparison.", "Run 'sit evaluate' first."
        )
    match Format.JSON if as_json else format_:
        case Format.JSON:
            typer.echo(json.dumps([row.to_json() for row in rows]))
        case Format.CSV:
            from synthetic_instruction_tuner.evaluation.comparison import csv_text

            typer.echo(csv_text(rows), nl=False)
        case Format.MARKDOWN:
            parts = (f"## {name}\n\n{table.markdown()}" for name, table in _tables(rows))
            typer.echo("\n".join([*parts, LEGEND]))
        case Format.TEXT:
            print_comparison(rows, everything=True, wide=wide)


def stored_comparison(folder: RunFolder) -> list[ComparisonRow]:
    """Returns the rows of a run's comparison; none where nothing has been compared yet."""
    from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows

    store = Store.open(folder.store, readonly=True)
    try:
        return comparison_rows(store)
    finally:
        store.close()


def print_comparison(rows: Sequence[ComparisonRow], everything: bool = False, wide: bool = False) -> None:
    """Prints one line per student and variant; marks show paired differences to base.

    Args:
        rows: the comparison.
        everything: print all metrics, a table per benchmark, instead of one table with the main metrics.
        wide: do not fit the tables to the screen.
    """
    screen = Screen(wide=wide)
    if everything:
        for name, table in _tables(rows):
            screen.say(f"\n{name}", style="bold")
            screen.table(table)
    else:
        screen.say()
        screen.table(_table(rows, _columns(rows)))
    screen.say(LEGEND, style="dim")


def _tables(rows: Sequence[ComparisonRow]) -> list[tuple[str, Table]]:
    """All metrics, in a table per benchmark."""
    found = []
    for name in dict.fromkeys(row.benchmark for row in rows):
        own = [row for row in rows if row.benchmark == name]
        found.append((name, _table(own, {(name, row.metric): row.metric for row in own})))
    return found


def _table(rows: Sequence[ComparisonRow], headings: Mapping[tuple[str, str], str]) -> Table:
    """The rows' values, in one column per metric."""
    cells = {(r.model, r.variant, r.benchmark, r.metric): r for r in rows}
    keys = (Column("student", "name", key=True), Column("variant", "name", key=True))
    table = Table(*keys, *(Column(heading, "whole") for heading in headings.values()))
    for model in dict.fromkeys(r.model for r in rows):
        for variant in VARIANTS:
            found = [cells.get((model, variant, *metric)) for metric in headings]
            if any(found):
                table.add(model, variant, *map(_cell, found))
    return table


def _columns(rows: Sequence[ComparisonRow]) -> dict[tuple[str, str], str]:
    """The metrics that the benchmarks want in the short table, with their headings."""
    names = dict.fromkeys(row.benchmark for row in rows)
    return {
        (name, metric.name): metric.column + name.removeprefix(plain_name(name))
        for name in names
        for metric in benchmark(name).metrics
        if metric.column
    }


def _cell(row: ComparisonRow | None) -> str:
    if row is None:
        return ""
    error = "" if math.isnan(row.standard_error) else f"±{row.standard_error:.2f}"
    difference = row.differences.get(BASE)
    significant = difference is not None and difference.p < ALPHA
    mark = ("*" if difference.value > 0 else "-") if difference and significant else ""
    return f"{row.value:.2f}{error}{mark}"
