"""A run from its checks to its end, as `sit run` and a notebook start it.

`execute` says what will be done, stops before anything is loaded where the run cannot succeed, downloads the
benchmarks that the filter looks for, and runs the pipeline. Results are in the folder and in the returned stage states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.run.checks.before_start import check_before_start
from synthetic_instruction_tuner.run.checks.model_checks import engine_lines, models_until
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.number_formats import format_lines
from synthetic_instruction_tuner.run.own_data.needs import require_pairs
from synthetic_instruction_tuner.run.pipeline import Step, ordered, run_pipeline, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import does_not_fit, estimate
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead, look_ahead, remember_agreement
from synthetic_instruction_tuner.run.store import StageState
from synthetic_instruction_tuner.run.written_files import WrittenFiles

HOW = {"start": "", "resume": " (resumed)", "redo": " (again)"}


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
    display = display or Display(quiet=True)
    ahead = _look_ahead(config, folder, hardware, files, start, until, repair)
    for line in ahead.lines():
        display.say(line)
    if agree:
        agree(ahead)
    with display:
        if not repair and _fetch_benchmarks(config, ahead.steps, display):
            ahead = _look_ahead(config, folder, hardware, files, start, until, repair)
        if ahead.stages and not ahead.todo and not repair:
            display.say(f"Nothing to do: everything in {shown(folder.root)} is done with these settings.")
        else:
            notes = check_before_start(config, folder, hardware, until)
            names = stage_names(config) if repair else [stage.step.stage.name for stage in ahead.todo]
            require_pairs(config, names)
            _announce(config, folder, hardware, () if repair else ahead.stages, display, until)
            for note in notes:
                display.say(note)
            if "agents" in names:
                _say_missing_tasks(config, display)
        if any(stage.replaced for stage in ahead.stages):
            with folder.hold():
                remember_agreement(config, folder, ahead)
        return run_pipeline(config, folder, display, hardware, start=start, until=until, repair=repair, files=files)


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
    """Downloads the benchmarks that filter and evaluation need and this machine lacks; returns whether it tried.

    What the filter finds and the evaluation measures changes with them, so the steps have to be computed again.
    """
    tried = _fetch_for_evaluation(config, display) if _any_todo(steps, {"evaluate"}) else False
    return _fetch_for_filter(config, steps, display) or tried


def _say_missing_tasks(config: Config, display: Display) -> None:
    from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import lacking, usable, without_sandbox

    missing = lacking(config)
    for name, found in missing.items():
        display.say(f"Agents on {name}: {found.missing} The stage leaves it out. {found.how}")
    needy = [one.name for one in usable(config) if one.sandboxed]
    if needy and (why := without_sandbox(config)):
        display.say(f"Agents on {', '.join(needy)}: {why} The stage leaves {'it' if len(needy) == 1 else 'them'} out.")


def _any_todo(steps: list[Step], names: set[str]) -> bool:
    return any(step.stage.name in names and step.action != "skip" for step in steps)


def _fetch_for_evaluation(config: Config, display: Display) -> bool:
    from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import announce_missing

    return announce_missing(config.evaluate, display.say)


def _fetch_for_filter(config: Config, steps: list[Step], display: Display) -> bool:
    wanted = config.contamination
    filtering = {"filter"} if config.generate.until_kept is None else {"generate", "filter"}
    if not _any_todo(steps, filtering) or not wanted.benchmarks:
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
    """Says what will be done, where, with what, and how long it takes; tells the display what to expect."""
    for stage in stages:  # what is done tells how far the plan is off on this machine
        if stage.step.action == "skip" and stage.state:
            display.forecast.learn(stage.estimate.stage, stage.state.seconds, stage.estimate.seconds)
    todo = [stage for stage in stages if stage.step.action != "skip"] or _every_stage(config, hardware)
    display.plan(
        {stage.estimate.stage: stage.planned for stage in todo},
        {stage.estimate.stage: stage.estimate.parts for stage in todo},
    )
    place = "in" if folder.holds_run() else "a new run in"
    display.say(f"Profile {config.profile} ({config.description}), seed {config.seed}, {place} {shown(folder.root)}")
    display.say(f"On {hardware.describe()}")
    for line in engine_lines(config, hardware, until):
        display.say(line[0].upper() + line[1:])
    for line in format_lines(config, hardware, models_until(config, until)):
        display.say(line[0].upper() + line[1:])
    table = Table(Column("stage", key=True), Column("time", "whole"), Column("what"), headings=False)
    for stage in todo:
        how = " (only if its input changes)" if stage.step.in_doubt else HOW[stage.step.action]
        table.add(f"  {stage.estimate.stage}", f"about {duration(stage.seconds)}", stage.estimate.detail + how)
    display.table(table)
    display.say(_total(todo, len(stages)))
    if warning := does_not_fit((stage.estimate for stage in todo), hardware):
        display.say(warning)


def _every_stage(config: Config, hardware: Hardware) -> list[StageAhead]:
    """Returns all stages from their beginning, for a repair: nobody knows yet what is whole."""
    estimates = {e.stage: e for e in estimate(config, hardware)}
    found = [(stage, estimates[stage.name]) for stage in ordered(config)]
    return [StageAhead(Step(stage, "start"), None, e, planned=e.seconds, seconds=e.seconds) for stage, e in found]


def _total(todo: Sequence[StageAhead], every: int) -> str:
    """Returns how long it takes in total, and how much is done."""
    most = sum(stage.seconds for stage in todo)
    least = sum(stage.seconds for stage in todo if not stage.step.in_doubt)
    total = f"About {duration(least)} in total"
    if round(most - least):
        total += f", or {duration(most)} with the stages whose input may change"
    done = every - len(todo)
    if done <= 0:
        return total
    return f"{total}; {done} of {every} stages {'is' if done == 1 else 'are'} already done"
