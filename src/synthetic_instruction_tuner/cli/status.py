"""``sit status``: which stages of a run are done, and what comes next."""

from __future__ import annotations

import json

import typer
from rich.table import Table

from synthetic_instruction_tuner.cli.options import Json, RunDir, existing_run
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.pipeline import Step, preview
from synthetic_instruction_tuner.run.store import StageState, Store
from synthetic_instruction_tuner.run.terminal import Console


def status(run_dir: RunDir = None, as_json: Json = False) -> None:
    """Prints the stage table."""
    config, folder = existing_run(run_dir)
    store = Store.open(folder.store, readonly=True)
    try:
        steps = preview(config, folder, store)
        states = {s.stage.name: store.stage(s.stage.name) for s in steps}
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps([_as_json(step, states[step.stage.name]) for step in steps]))
        return
    console = Console(highlight=False)
    console.print(f"{folder.root}: profile {config.profile}, seed {config.seed}", markup=False)
    console.print(_table(steps, states))
    following = next((step for step in steps if step.action != "skip"), None)
    if following is None:
        console.print(f"Everything is done. The report: {folder.report.with_suffix('.html')}", markup=False)
    else:
        reason = f" ({following.why})" if following.why else ""
        console.print(
            f"Next: {following.stage.name}{reason}. Continue with 'sit run --run-dir {folder.root}'.", markup=False
        )


def _table(steps: list[Step], states: dict[str, StageState | None]) -> Table:
    table = Table("stage", "state", "rows", "time", "peak memory", "note", box=None, pad_edge=False)
    for step in steps:
        state = states[step.stage.name]
        if state is None:
            table.add_row(step.stage.name, "to do", "", "", "", "")
            continue
        rows = " -> ".join(f"{n:,}" for n in (state.rows_in, state.rows_out) if n is not None)
        memory = f"{state.peak_memory_gb:.1f} GB" if state.peak_memory_gb else ""
        table.add_row(step.stage.name, _word(step, state), rows, duration(state.seconds), memory, state.note)
    return table


def _word(step: Step, state: StageState) -> str:
    if state.status == "done" and step.action != "skip":
        return "to redo"
    return {"running": "begun", "done": "done", "failed": "failed"}[state.status]


def _as_json(step: Step, state: StageState | None) -> dict[str, object]:
    nothing_yet = dict.fromkeys(("status", "rows_in", "rows_out", "seconds", "peak_memory_gb", "note"))
    return {"stage": step.stage.name, "next": step.action, "why": step.why} | (
        state.to_json() if state else nothing_yet
    )
