"""The end of a run: the comparison's main numbers, and where the files are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.methods import BASE, VARIANTS
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import StageState, Store
from synthetic_instruction_tuner.run.terminal import Console

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow

ALPHA = 0.01


def print_summary(folder: RunFolder, states: Sequence[StageState], quiet: bool = False) -> None:
    """Prints the comparison, the time, and the paths."""
    console = Console(highlight=False)
    rows = stored_comparison(folder) if states and states[-1].name == "report" else []
    if rows:
        print_comparison(rows)
    if quiet:
        return
    total, peak = sum(s.seconds for s in states), max((s.peak_memory_gb or 0 for s in states), default=0)
    console.print(f"\n{len(states)} stages, {duration(total)} of work, peak memory {peak:.1f} GB.", markup=False)
    for label, path in _places(folder):
        if path.exists():
            console.print(f"  {label:<12} {path}", markup=False, soft_wrap=True)


def stored_comparison(folder: RunFolder) -> list[ComparisonRow]:
    """Returns the rows of a run's comparison; none where nothing has been compared yet."""
    from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows

    store = Store.open(folder.store, readonly=True)
    try:
        return comparison_rows(store)
    finally:
        store.close()


def print_comparison(rows: Sequence[ComparisonRow], everything: bool = False) -> None:
    """Prints one line per student and variant; marks show paired differences to base.

    Args:
        rows: the comparison.
        everything: print all metrics, a table per benchmark, instead of one table with the main metrics.
    """
    console = Console(highlight=False)
    if everything:
        for name in dict.fromkeys(row.benchmark for row in rows):
            own = [row for row in rows if row.benchmark == name]
            console.print(f"\n{name}", style="bold", markup=False)
            console.print(_table(own, {(name, row.metric): row.metric for row in own}))
    else:
        console.print("", _table(rows, _columns(rows)))
    legend = f"value ± standard error; * above, - below the base model (paired test, p < {ALPHA})"
    console.print(legend, style="dim", markup=False)


def _table(rows: Sequence[ComparisonRow], headings: Mapping[tuple[str, str], str]) -> Table:
    """The rows' values, in one column per metric."""
    cells = {(r.model, r.variant, r.benchmark, r.metric): r for r in rows}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("student", "variant", *headings.values()):
        table.add_column(heading, no_wrap=True)
    for model in dict.fromkeys(r.model for r in rows):
        for variant in VARIANTS:
            found = [cells.get((model, variant, *metric)) for metric in headings]
            if any(found):
                table.add_row(model, variant, *(_cell(row) for row in found))
    return table


def _columns(rows: Sequence[ComparisonRow]) -> dict[tuple[str, str], str]:
    """The metrics that the benchmarks want in the short table, with their headings."""
    names = dict.fromkeys(row.benchmark for row in rows)
    return {(name, metric.name): metric.column for name in names for metric in benchmark(name).metrics if metric.column}


def _cell(row: ComparisonRow | None) -> str:
    if row is None:
        return ""
    error = "" if math.isnan(row.standard_error) else f"±{row.standard_error:.2f}"
    difference = row.differences.get(BASE)
    significant = difference is not None and difference.p < ALPHA
    mark = ("*" if difference.value > 0 else "-") if difference and significant else " "
    return f"{row.value:.2f}{error}{mark}"


def _places(folder: RunFolder) -> list[tuple[str, Path]]:
    return [
        ("report", folder.report.with_suffix(".html")),
        ("comparison", folder.comparison),
        ("data", folder.root / "data"),
        ("models", folder.root / "models"),
        ("figures", folder.figures),
    ]
