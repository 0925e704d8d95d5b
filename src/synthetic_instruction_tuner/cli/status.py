"""``sit status``: which stages of a run are done, and what comes next."""

from __future__ import annotations

import json

import typer

from synthetic_instruction_tuner.cli.options import Json, RunDir, Wide, existing_run
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.pipeline import Step, preview
from synthetic_instruction_tuner.run.store import StageState, Store


def status(run_dir: RunDir = None, wide: Wide = False, as_json: Json = False) -> None:
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
    screen = Screen(wide=wide)
    screen.say(f"{folder.root}: profile {config.profile}, seed {config.seed}")
    screen.table(_table(steps, states))
    following = next((step for step in steps if step.action != "skip"), None)
    if following is None:
        screen.say(f"Everything is done. The report: {folder.report.with_suffix('.html')}")
    else:
        reason = f" ({following.why})" if following.why else ""
        screen.say(f"Next: {following.stage.name}{reason}. Continue with 'sit run --run-dir {folder.root}'.")


def _table(steps: list[Step], states: dict[str, StageState | None]) -> Table:
    table = Table(
        Column("stage", "name", key=True),
        Column("state", "whole"),
        Column("output"),
        Column("time", "whole"),
        Column("peak memory", "whole"),
        Column("note"),
    )
    for step in steps:
        state = states[step.stage.name]
        if state is None:
            table.add(step.stage.name, "to do", "", "", "", "")
            continue
        memory = gigabytes(state.peak_memory_gb) if state.peak_memory_gb else ""
        flow = step.stage.flow(state.rows_in, state.rows_out)
        table.add(step.stage.name, _word(step, state), flow, duration(state.seconds), memory, state.note)
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
