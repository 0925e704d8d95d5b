"""The end of a run: the comparison's main numbers, and where the files are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthetic_instruction_tuner.cli.compare import print_comparison, stored_comparison
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import StageState


def print_summary(folder: RunFolder, states: Sequence[StageState], quiet: bool = False) -> None:
    """Prints the comparison, the time, and the paths."""
    screen = Screen()
    rows = stored_comparison(folder) if states and states[-1].name == "report" else []
    if rows:
        print_comparison(rows)
    if quiet:
        return
    total, peak = sum(s.seconds for s in states), max((s.peak_memory_gb or 0 for s in states), default=0)
    screen.say(f"\n{len(states)} stages, {duration(total)} of work, peak memory {gigabytes(peak)}.")
    places = Table(Column("label", key=True), Column("path", "name"), headings=False)
    for label, path in _places(folder):
        if path.exists():
            places.add(f"  {label}", str(path))
    screen.table(places)


def _places(folder: RunFolder) -> list[tuple[str, Path]]:
    return [
        ("report", folder.report.with_suffix(".html")),
        ("comparison", folder.comparison),
        ("data", folder.root / "data"),
        ("models", folder.root / "models"),
        ("figures", folder.figures),
    ]
