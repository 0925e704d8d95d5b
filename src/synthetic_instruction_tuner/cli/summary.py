"""The end of a run: the table that matters, and where everything lies."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import StageState

HEADLINES = {
    ("nano_ifeval", "prompt_strict"): "IFEval",
    ("nano_mmlu", "acc"): "MMLU",
    ("nano_mt", "reward"): "MT reward",
    ("nano_mt", "right"): "MT right",
}
VARIANTS = ("base", "prompt_tuning", "sft", "dpo")


def print_summary(folder: RunFolder, states: Sequence[StageState], quiet: bool = False) -> None:
    """Prints the comparison, the time, and the places."""
    console = Console(highlight=False)
    rows = comparison_rows(folder) if states and states[-1].name == "report" else []
    if rows:
        print_comparison(rows)
    if quiet:
        return
    total, peak = sum(s.seconds for s in states), max((s.peak_memory_gb or 0 for s in states), default=0)
    console.print(f"\n{len(states)} stages, {duration(total)} of work, at most {peak:.1f} GB of memory.", markup=False)
    for label, path in _places(folder):
        if path.exists():
            console.print(f"  {label:<12} {path}", markup=False, soft_wrap=True)


def comparison_rows(folder: RunFolder) -> list[dict[str, str]]:
    """Returns the comparison table's rows, or none when there is no table yet."""
    if not folder.comparison.exists():
        return []
    with folder.comparison.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def print_comparison(rows: Sequence[dict[str, str]], everything: bool = False) -> None:
    """Prints one line per student and variant; stars mark paired differences to base (p < 0.01)."""
    wanted = (
        HEADLINES
        if not everything
        else {(r["benchmark"], r["metric"]): f"{r['benchmark']} {r['metric']}" for r in rows}
    )
    cells = {(r["model"], r["variant"], r["benchmark"], r["metric"]): r for r in rows}
    table = Table(box=None, pad_edge=False)
    for head in ("student", "variant", *wanted.values()):
        table.add_column(head, no_wrap=not everything)
    models = list(dict.fromkeys(r["model"] for r in rows))
    for model in models:
        for variant in VARIANTS:
            found = [cells.get((model, variant, *metric)) for metric in wanted]
            if any(found):
                table.add_row(model, variant, *(_cell(row) for row in found))
    console = Console(highlight=False)
    console.print("", table)
    console.print(
        "value ± standard error; * above, - below the base model (paired test, p < 0.01)", style="dim", markup=False
    )


def _cell(row: dict[str, str] | None) -> str:
    if row is None:
        return ""
    value = f"{float(row['value']):.2f}±{float(row['standard_error']):.2f}" if row["standard_error"] else row["value"]
    p, delta = row.get("p_to_base") or "", row.get("delta_to_base") or ""
    mark = ("*" if float(delta) > 0 else "-") if p and delta and float(p) < 0.01 else " "
    return f"{value}{mark}"


def _places(folder: RunFolder) -> list[tuple[str, Path]]:
    return [
        ("report", folder.report.with_suffix(".html")),
        ("comparison", folder.comparison),
        ("data", folder.root / "data"),
        ("models", folder.root / "models"),
        ("figures", folder.figures),
    ]
