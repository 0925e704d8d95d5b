"""A run from its checks to its end, as `sit run` and a notebook start it.

`execute` says what will be done, stops before anything is loaded where the run cannot succeed, downloads the
benchmarks that the filter looks for, and runs the pipeline. Results are in the folder and in the returned stage states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.run.checks import check_before_start, engine_lines
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import Step, ordered, run_pipeline, stage_index
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate, with_start
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead, look_ahead, remember_agreement
from synthetic_instruction_tuner.run.store import StageState
from synthetic_instruction_tuner.run.written_files import WrittenFiles

HOW = {"start": "", "resume": " (resumed)", "redo": " (again)"}
LOADS_NOTHING = ("filter", "report")  # stages that, as a rule, load no model


def execute(
    config: Config,
    folder: RunFolder,
    display: Display | None = None,
    *,
    start: str | None = None,
    until: str | None = None,
    repair: bool = False,
    agree: Callable[[Ahead], None] | None = None,
) -> list[StageState]:
    """Checks, announces and runs the stages; resumes what the folder already holds.

    Args:
        config: the run's settings.
        folder: where the run is, or will be.
        display: shows progress and notes; without one, nothing is shown.
        start: this stage and the later ones run again from their beginning.
        until: stop after this stage.
        repair: drop damaged batches, or set an unreadable store aside, before anything else.
        agree: is shown what will be done, and raises where it should not be; without one, everything is agreed to.

    Returns:
        The states of the stages up to `until`, in their order.

    Raises:
        UserError: an unknown stage, something missing that the run needs, or a folder of another version of sit.
        RunError: the run cannot go on; whatever was committed is kept.
    """
    for name in filter(None, (start, until)):
        stage_index(name)
    folder.require_current_format()
    hardware = detect(config.engine.device)
    files = WrittenFiles(folder)
    shown = display or Display(quiet=True)
    ahead = _look_ahead(config, folder, hardware, files, start, until, repair)
    for line in ahead.lines():
        shown.say(line)
    if agree:
        agree(ahead)
    with shown:
        if not repair and _fetch_benchmarks(config, ahead.steps, shown):
            ahead = _look_ahead(config, folder, hardware, files, start, until, repair)
        if ahead.stages and not ahead.todo and not repair:
            shown.say(f"Nothing to do: everything in {folder.root} is done with these settings.")
        else:
            check_before_start(config, folder, hardware, until)
            _announce(config, folder, hardware, () if repair else ahead.stages, shown, until)
        if any(stage.replaced for stage in ahead.stages):
            with folder.hold():
                remember_agreement(config, folder, ahead)
        return run_pipeline(config, folder, shown, hardware, start=start, until=until, repair=repair, files=files)


def _look_ahead(
    config: Config,
    folder: RunFolder,
    hardware: Hardware,
    files: WrittenFiles,
    start: str | None,
    until: str | None,
    repair: bool,
) -> Ahead:
    try:
        return look_ahead(config, folder, hardware, start, until, files)
    except RunError:
        if repair:
            return Ahead(None, ())
        raise


def _fetch_benchmarks(config: Config, steps: list[Step], display: Display) -> bool:
    """Downloads the benchmarks that the filter looks for, if this machine lacks them; returns whether it tried.

    What the filter finds changes with them, so the steps have to be computed again.
    """
    wanted = config.filter.contamination
    filtering = {"filter"} if config.generate.until_kept is None else {"generate", "filter"}
    todo = any(step.stage.name in filtering and step.action != "skip" for step in steps)
    if not todo or not wanted.benchmarks:
        return False
    from synthetic_instruction_tuner.evaluation.benchmarks.sources import fetch

    fetch(wanted, display.say)
    return True


def _announce(
    config: Config,
    folder: RunFolder,
    hardware: Hardware,
    stages: Sequence[StageAhead],
    display: Display,
    until: str | None,
) -> None:
    estimates = {e.stage: e for e in estimate(config, hardware)}
    steps = [stage.step for stage in stages]
    todo = [step for step in steps if step.action != "skip"] or [Step(stage, "start") for stage in ordered(config)]
    for stage in stages:  # what is done tells how far the plan is off on this machine
        if stage.step.action == "skip" and stage.state:
            display.forecast.learn(stage.estimate.stage, stage.state.seconds, stage.estimate.seconds)
    seconds = _expected(estimates, [step.stage.name for step in todo], stages)
    display.plan(seconds, {name: estimates[name].parts for name in seconds})
    done = len(steps) - len(todo) if steps else 0
    place = "in" if folder.holds_run() else "a new run in"
    display.say(f"Profile {config.profile} ({config.description}), seed {config.seed}, {place} {folder.root}")
    display.say(f"On {hardware.describe()}")
    for line in engine_lines(config, hardware, until):
        display.say(line[0].upper() + line[1:])
    table = Table(Column("stage", key=True), Column("time", "whole"), Column("what"), headings=False)
    for step in todo:
        name = step.stage.name
        about = f"about {duration(display.forecast.scaled(name, seconds[name]))}"
        how = " (only if its input changes)" if step.in_doubt else HOW[step.action]
        table.add(f"  {name}", about, estimates[name].detail + how)
    display.table(table)
    most = display.remaining()
    doubtful = (s.stage.name for s in todo if s.in_doubt)
    least = most - sum(display.forecast.scaled(name, seconds[name]) for name in doubtful)
    total = f"About {duration(least)} in total"
    if round(most - least):
        total += f", or {duration(most)} with the stages whose input may change"
    display.say(f"{total}; {done} of {len(steps)} stages are already done" if done else total)
    if warning := does_not_fit((estimates[step.stage.name] for step in todo), hardware):
        display.say(warning)


def _expected(
    estimates: Mapping[str, StageEstimate], names: Sequence[str], stages: Sequence[StageAhead]
) -> dict[str, float]:
    """The planned seconds of the stages that are to be done, without what is done of them."""
    left = {stage.step.stage.name: stage.seconds for stage in stages if stage.step.action == "resume"}
    seconds = {name: left.get(name, estimates[name].seconds) for name in names}
    first = next((name for name in names if name not in LOADS_NOTHING), None)
    if first is not None and first != "generate":
        seconds[first] = with_start(replace(estimates[first], seconds=seconds[first])).seconds
    return seconds
