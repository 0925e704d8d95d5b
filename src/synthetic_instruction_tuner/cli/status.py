"""``sit status``: which stages of a run are done, what is out of date, and what comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import Json, RunDir, Wide, existing_run
from synthetic_instruction_tuner.cli.summary import print_places
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.progress import Working
from synthetic_instruction_tuner.run.progress.milestones import Milestone, milestones, next_milestone
from synthetic_instruction_tuner.run.progress.progress_file import read_progress
from synthetic_instruction_tuner.run.remaining import StageAhead, current_outputs, look_ahead
from synthetic_instruction_tuner.run.store import Store

MARKS = {"reached": "x", "cut down": "-", "partly": "", "open": ""}
ByMilestone = Annotated[
    bool,
    typer.Option("--milestones", help="Show the seven milestones of docs/plan.md instead of the stages."),
]


def status(
    run_dir: RunDir = None, by_milestone: ByMilestone = False, wide: Wide = False, as_json: Json = False
) -> None:
    """Prints the stage table, or the milestones."""
    config, folder = existing_run(run_dir)
    Store.open(folder.store, readonly=True).close()  # says so where there is none
    ahead = look_ahead(config, folder, detect(config.engine.device))
    if by_milestone:
        with closing(Store.open(folder.store, readonly=True)) as store:
            found = milestones(config, store, ahead)
        if as_json:
            typer.echo(json.dumps([one.to_json() for one in found]))
        else:
            _print_milestones(folder, config.profile, found, read_progress(folder.progress), Screen(wide=wide))
        return
    stages = ahead.stages
    current = current_outputs(config, folder)
    done = {stage.step.stage.name for stage in stages if stage.condition in ("done", "skipped")}
    outputs = {name: paths for name, paths in current.items() if name in done}
    working = read_progress(folder.progress)
    if as_json:
        written = {name: [str(path) for path in paths] for name, paths in outputs.items()}
        rows = [_as_json(stage, written.get(stage.step.stage.name, [])) for stage in stages]
        for row in rows:
            row["working"] = asdict(working) if working and working.stage == row["stage"] else None
        typer.echo(json.dumps(rows))
        return
    screen = Screen(wide=wide)
    screen.say(f"{shown(folder.root)}: profile {config.profile}, seed {config.seed}")
    screen.table(_table(stages))
    if outputs:
        screen.say("Up to date:")
        print_places(folder, outputs, screen)
    if not ahead.todo:
        screen.say("Everything is done.")
        return
    if working:
        screen.say(f"At work on {working.stage}: {working.line()}.")
        return
    following = ahead.todo[0].step
    reason = f" ({following.why})" if following.why else ""
    left = f"what is left takes about {duration(ahead.seconds)}"
    screen.say(f"Next: {following.stage.name}{reason}; {left}. Continue with 'sit run -d {shown(folder.root)}'.")


def _print_milestones(
    folder: RunFolder, profile: str, found: Sequence[Milestone], working: Working | None, screen: Screen
) -> None:
    screen.say(f"{shown(folder.root)}: the milestones of the plan, with the numbers of profile {profile}")
    table = Table(
        Column("", key=True),
        Column("", "whole", key=True),
        Column("milestone", "name", key=True),
        Column("state", "whole"),
        Column("what is there"),
    )
    for one in found:
        there = ", ".join(count.has() for count in one.counts)
        table.add(MARKS[one.state], one.name, one.title, one.state, "; ".join(filter(None, (there, one.note))))
    screen.table(table)
    counts = {state: sum(one.state == state for one in found) for state in ("reached", "cut down")}
    cut = f", {counts['cut down']} cut down" if counts["cut down"] else ""
    reached = f"{counts['reached']} of {len(found)} milestones are reached{cut}."
    following = next_milestone(found)
    if following is None:
        screen.say(reached)
        return
    missing = following.missing() and f"{following.missing()} missing"
    left = ", ".join(filter(None, (missing, f"about {duration(following.seconds)}")))
    command = f"Continue with 'sit run -d {shown(folder.root)} --until {following.until}'."
    now = f"At work on {working.stage}: {working.line()}." if working else command
    screen.say(f"{reached} Next: {following.name}, {following.title} ({left}). {now}")


def _table(stages: tuple[StageAhead, ...]) -> Table:
    table = Table(
        Column("stage", "name", key=True),
        Column("state", "name"),
        Column("output"),
        Column("time", "whole"),
        Column("peak memory", "whole"),
        Column("note"),
    )
    for stage in stages:
        name, state = stage.step.stage.name, stage.state
        if state is None:
            table.add(name, stage.condition, "", "", "", stage.step.stage.skipped)
            continue
        memory = gigabytes(state.peak_memory_gb) if state.peak_memory_gb else ""
        flow = stage.step.stage.flow(state.rows_in, state.rows_out) if stage.condition in ("done", "skipped") else ""
        note = stage.step.why or state.note
        table.add(name, _words(stage), flow, duration(state.seconds), memory, note)
    return table


def _words(stage: StageAhead) -> str:
    return f"{stage.condition}: {stage.amount.describe()}" if stage.amount else stage.condition


def _as_json(stage: StageAhead, outputs: list[str]) -> dict[str, object]:
    nothing_yet = dict.fromkeys(("status", "rows_in", "rows_out", "seconds", "peak_memory_gb", "note"))
    amount = {"n": stage.amount.n, "of": stage.amount.of, "unit": stage.amount.unit} if stage.amount else None
    return (
        {"stage": stage.step.stage.name, "state": stage.condition, "next": stage.step.action, "why": stage.step.why}
        | (stage.state.to_json() if stage.state else nothing_yet)
        | {"amount": amount, "outputs": outputs}
    )
