"""``sit run``: the whole job, or what is left of it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Profile,
    Quiet,
    RunDir,
    Set,
    configuration,
    run_folder,
)
from synthetic_instruction_tuner.cli.summary import print_summary
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import Step, ordered, preview, run_pipeline, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.store import StageState, Store

HELP = """Do the whole job, or go on with it.

With no options: profile nano, offline, on a CPU. The run's folder holds everything. The same command continues a run
that was interrupted, and does nothing when all is done. Changed settings redo only the stages that depend on them."""

From = Annotated[str | None, typer.Option("--from", help="Do this stage and the later ones again.", metavar="STAGE")]
Until = Annotated[str | None, typer.Option("--until", help="Stop after this stage.", metavar="STAGE")]
Repair = Annotated[bool, typer.Option("--repair", help="Drop what is damaged in the store and make it again.")]


def run(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    from_: From = None,
    until: Until = None,
    repair: Repair = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Runs the pipeline."""
    resolved = configuration(profile, config, set_, limit, run_dir)
    execute(
        resolved, run_folder(resolved, run_dir), start=from_, until=until, repair=repair, as_json=as_json, quiet=quiet
    )


def execute(
    config: Config,
    folder: RunFolder,
    *,
    start: str | None = None,
    until: str | None = None,
    repair: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Announces, runs and sums up; shared by ``run`` and the single-stage verbs."""
    from synthetic_instruction_tuner.run.checks import check_before_start

    for name in filter(None, (start, until)):
        stage_index(name)
    hardware = detect(config.engine.device)
    with Display(quiet=quiet or as_json) as display:
        steps = [] if repair else _steps(config, folder, until, start)
        if _fetch_benchmarks(config, steps, display):
            steps = _steps(config, folder, until, start)
        if steps and all(step.action == "skip" for step in steps):
            display.say(f"Nothing to do: everything in {folder.root} is done with these settings.")
        else:
            check_before_start(config, folder, hardware, until)
            _announce(config, folder, hardware, steps, display, until)
        states = run_pipeline(config, folder, display, hardware, start=start, until=until, repair=repair)
    if as_json:
        typer.echo(json.dumps({"run_dir": str(folder.root), "stages": [_as_json(s) for s in states]}))
    else:
        print_summary(folder, states, quiet)


def _fetch_benchmarks(config: Config, steps: list[Step], display: Display) -> bool:
    """Brings the benchmarks that the rules look for onto this machine before they judge; returns whether it tried."""
    wanted = config.filter.contamination
    judging = {"filter"} if config.generate.until_kept is None else {"generate", "filter"}
    todo = any(step.stage.name in judging and step.action != "skip" for step in steps)
    if not todo or not wanted.benchmarks:
        return False
    from synthetic_instruction_tuner.evaluation.benchmarks.sources import fetch

    fetch(wanted, display.say)
    return True


def _steps(config: Config, folder: RunFolder, until: str | None, start: str | None) -> list[Step]:
    store = Store.open(folder.store, readonly=True) if folder.store.exists() else None
    try:
        steps = preview(config, folder, store)
    finally:
        if store:
            store.close()
    names = stage_names(config)
    last = names.index(until) if until in names else len(names) - 1
    again = names.index(start) if start in names else len(names)
    return [Step(s.stage, "redo") if i >= again else s for i, s in enumerate(steps[: last + 1])]


def _announce(
    config: Config, folder: RunFolder, hardware: Hardware, steps: list[Step], display: Display, until: str | None
) -> None:
    from synthetic_instruction_tuner.run.checks import engine_lines

    estimates = {e.stage: e for e in estimate(config, hardware)}
    todo = [step for step in steps if step.action != "skip"] or [Step(stage, "start") for stage in ordered(config)]
    seconds = {step.stage.name: estimates[step.stage.name].seconds for step in todo}
    display.plan(seconds)
    done = len(steps) - len(todo) if steps else 0
    display.say(f"Profile {config.profile} ({config.description}), seed {config.seed}, in {folder.root}")
    display.say(f"On {hardware.describe()}")
    for line in engine_lines(config, hardware, until):
        display.say(line[0].upper() + line[1:])
    for step in todo:
        display.say(f"  {_line(step, estimates[step.stage.name])}")
    about = f"about {duration(sum(seconds.values()))} in all"
    display.say(f"{about}; {done} of {len(steps)} stages are done already" if done else about[0].upper() + about[1:])
    if warning := does_not_fit((estimates[step.stage.name] for step in todo), hardware):
        display.say(warning)


def _line(step: Step, about: StageEstimate) -> str:
    word = {"start": "", "resume": " (goes on)", "redo": " (again)"}[step.action]
    return f"{step.stage.name:<14} {about.detail}{word}, about {duration(about.seconds)}"


def _as_json(state: StageState) -> dict[str, object]:
    return {
        "stage": state.name,
        "status": state.status,
        "rows_in": state.rows_in,
        "rows_out": state.rows_out,
        "seconds": round(state.seconds, 2),
        "peak_memory_gb": state.peak_memory_gb,
        "note": state.note,
    }
