"""``sit compare``: the full comparison, a table per benchmark, for the screen or as Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthetic_instruction_tuner.cli.options import Json, RunDir, Wide, existing_run, share
from synthetic_instruction_tuner.cli.scores.score import DataDir, Mode, Scored, settings_of
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark, kind_of, plain_name, public_first
from synthetic_instruction_tuner.methods import BASE, VARIANTS
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.store import Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow

ALPHA = 0.01
EQUIVALENT = 0.05  # level of the two one-sided tests
NANO_LEGEND = "nano: items of the embedded nano world; these scores say nothing about IFEval, MMLU or MT-Bench"
LEGEND = f"value ± standard error; * better, - worse than the base model (paired test, p < {ALPHA})"


class Format(StrEnum):
    """How the comparison is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def compare(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Two or more runs' folders, or files of answers.", metavar="[RUN|FILE]..."),
    ] = None,
    run_dir: RunDir = None,
    format_: Annotated[
        Format, typer.Option("--format", help="How to print it; csv and json have every column.")
    ] = Format.TEXT,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Difference up to which two scores count as equivalent, as a share of the metric's span.",
            parser=share("--margin"),
            metavar="SHARE",
        ),
    ] = None,
    name: Annotated[Scored | None, typer.Option("--benchmark", help="What files of answers are answers to.")] = None,
    mode: Mode = None,
    data_dir: DataDir = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Prints the comparison of a run, or of several runs or files."""
    form = Format.JSON if as_json else format_
    if sources:
        _compare_several(sources, run_dir, name, mode, data_dir, margin, form, wide)
        return
    if name or mode or data_dir:
        raise UserError("--benchmark, --mode and --data-dir need files of answers.", "", "sit compare A.jsonl B.jsonl")
    config, folder = existing_run(run_dir)
    rows = stored_comparison(folder, agents=True)
    if not rows:
        raise UserError(
            "Nothing has been evaluated yet.", f"{shown(folder.root)} holds no comparison.", "Run 'sit evaluate' first."
        )
    own_margin = margin or config.evaluate.equivalence_margin
    match form:
        case Format.JSON:
            typer.echo(json.dumps([row.to_json() | _equivalence_columns(row, margin) for row in rows]))
        case Format.CSV:
            from synthetic_instruction_tuner.evaluation.comparison import csv_text

            typer.echo(csv_text(rows), nl=False)
        case Format.MARKDOWN:
            parts = (f"## {name}\n\n{table.markdown()}" for name, table in _all_tables(rows))
            typer.echo("\n".join([*parts, *_legends(rows, everything=True), *equivalent(rows, own_margin)]))
        case Format.TEXT:
            print_comparison(rows, everything=True, wide=wide)
            for line in equivalent(rows, own_margin):
                Screen(wide=wide).say(line, style="dim")


def _compare_several(
    sources: Sequence[Path],
    run_dir: Path | None,
    name: str | None,
    mode: str | None,
    data_dir: Path | None,
    margin: float | None,
    form: Format,
    wide: bool,
) -> None:
    from synthetic_instruction_tuner.cli.scores.several import compare_sources, read_sources

    if run_dir is not None:
        raise UserError("--run-dir does not go with runs or files by name.", "", f"sit compare {run_dir} {sources[0]}")
    found = read_sources(sources, name, lambda: settings_of(None, None, None, data_dir, mode).evaluate)
    own = found[0].config.evaluate if found[0].config else settings_of(None, None, None, None, None).evaluate
    compare_sources(found, margin or own.equivalence_margin, form.value, wide)


def equivalent(rows: Sequence[ComparisonRow], margin: float) -> list[str]:
    """Returns sentences on the headline scores that are equivalent to their reference's; none where nothing is."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in (row for row in rows if row.headline):
        for reference in row.differences:
            if row.equivalence(reference, margin) < EQUIVALENT:
                found.setdefault((row.benchmark, row.variant, reference), []).append(row.model)
    return [
        f"{benchmark}: {variant} equals {reference} within ±{margin:g} for {', '.join(models)} (two one-sided tests, "
        f"p < {EQUIVALENT})"
        for (benchmark, variant, reference), models in found.items()
    ]


def _equivalence_columns(row: ComparisonRow, margin: float | None) -> dict[str, float | None]:
    """Further columns where a margin was asked for."""
    if margin is None:
        return {}
    found = {reference: row.equivalence(reference, margin) for reference in row.differences}
    return {f"p_equivalent_to_{reference}": None if math.isnan(p) else p for reference, p in found.items()}


def stored_comparison(folder: RunFolder, agents: bool = False) -> list[ComparisonRow]:
    """Returns the rows of a run's comparison, with those of agents if asked; none where nothing was compared yet."""
    from synthetic_instruction_tuner.run.stages.agents.units import stored_rows
    from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows

    store = Store.open(folder.store, readonly=True)
    try:
        return comparison_rows(store) + (stored_rows(store) if agents else [])
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
        for name, table in _all_tables(rows):
            screen.say(f"\n{name}", style="bold")
            screen.table(table)
    else:
        screen.say()
        screen.table(_table(rows, _columns(rows)))
    for line in _legends(rows, everything):
        screen.say(line, style="dim")


def _legends(rows: Sequence[ComparisonRow], everything: bool) -> list[str]:
    """What there is to know of the tables: marks, directions, whose items, and which of them were seen in training."""
    lower = dict.fromkeys(row.metric for row in rows if row.better == "lower" and everything)
    lines = [LEGEND, *([f"lower is better: {', '.join(lower)}"] if lower else [])]
    if len({kind_of(row.benchmark) for row in rows}) > 1:
        lines.append(NANO_LEGEND)
    if seen := _seen(rows):
        lines.append(f"items in the training data: {seen}{'' if everything else '; scores without them: sit compare'}")
    return lines


def _seen(rows: Sequence[ComparisonRow]) -> str:
    """How many items of each benchmark occur in the training data; nothing where none does."""
    found = {row.benchmark: f"{row.n_seen:,} of {row.clusters:,} of {row.benchmark}" for row in rows if row.n_seen}
    return ", ".join(found[name] for name in public_first(found))


def _all_tables(rows: Sequence[ComparisonRow]) -> list[tuple[str, Table]]:
    """A table per benchmark, and one without the items that the students have seen in training, where there are any."""
    clean = [row for row in rows if row.headline and row.n_seen and row.clean]
    if not clean:
        return _tables(rows)
    headings = {(row.benchmark, row.metric): f"{row.benchmark} {row.metric}" for row in clean}
    others = [_without_seen(row) for row in clean]
    return [*_tables(rows), ("Without the items that occur in the training data", _table(others, headings))]


def _without_seen(row: ComparisonRow) -> ComparisonRow:
    """Returns the row with the score on the items that are not in the training data, without comparisons."""
    assert row.clean
    own = row.clean
    return replace(row, value=own.value, standard_error=own.standard_error, differences={})


def _tables(rows: Sequence[ComparisonRow]) -> list[tuple[str, Table]]:
    """All metrics, in a table per benchmark."""
    found = []
    for name in public_first(row.benchmark for row in rows):
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
    names = public_first(row.benchmark for row in rows)
    both = len({kind_of(name) for name in names}) > 1
    return {
        (name, metric.name): ("nano " if both and kind_of(name) == "nano" else "")
        + metric.column
        + name.removeprefix(plain_name(name))
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
    better = difference is not None and (difference.value > 0) == (row.better != "lower")
    mark = ("*" if better else "-") if significant else ""
    return f"{row.value:.2f}{error}{mark}"
