"""``sit plan``: what a run would do, or do again in its folder, before anything is loaded; it writes nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Profile,
    RunDir,
    Set,
    Wide,
    configuration,
    opened,
    run_folder,
)
from synthetic_instruction_tuner.cli.run import From, Until
from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.checks.model_checks import check_local_models
from synthetic_instruction_tuner.run.checks.settings_checks import check_settings, check_stages
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.pipeline import ordered, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate, largest
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead, look_ahead
from synthetic_instruction_tuner.run.roles import used_models


def plan(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    from_: From = None,
    until: Until = None,
    wide: Wide = False,
    as_json: Json = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print the whole resolved configuration instead.")
    ] = False,
) -> None:
    """Prints the plan."""
    resolved = configuration(profile, config, set_, limit, run_dir)
    if settings:
        echo_json(resolved.as_json())
        return
    check_stages(resolved, from_, until)
    check_local_models(resolved)
    folder = run_folder(resolved, run_dir)
    if from_:
        resolved, folder = opened(profile, config, set_, limit, folder.root, new=False)
    elif run_dir is None or not folder.holds_run():
        _plan_new(resolved, folder, until, Screen(wide=wide), as_json)
        return
    folder.require_current_format()
    hardware = detect(resolved.engine.device)
    ahead = look_ahead(resolved, folder, hardware, from_, until)
    if ahead.todo:
        check_settings(resolved, hardware, until)
    if as_json:
        echo_json(json.dumps(_ahead_as_json(resolved, folder, ahead, hardware)))
    else:
        _print_ahead(resolved, folder, ahead, hardware, Screen(wide=wide))


def _plan_new(config: Config, folder: RunFolder, until: str | None, screen: Screen, as_json: bool) -> None:
    hardware = detect(config.engine.device)
    check_settings(config, hardware, until)
    last = stage_index(until, config) if until else None
    names = stage_names(config)[: last + 1 if last is not None else None]
    estimates = sorted((e for e in estimate(config, hardware) if e.stage in names), key=lambda e: names.index(e.stage))
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "config": config.model_dump(mode="json"),
                    "stages": [dataclasses.asdict(e) for e in estimates],
                    "warning": does_not_fit(estimates, hardware),
                }
            )
        )
    else:
        _print(config, estimates, hardware, screen)
        name = shown(folder.root)
        if folder.holds_run():
            screen.say(f"{name} holds a run: 'sit plan -d {name}' with the same options shows what runs again there.")
        else:
            screen.say(f"{name} holds no run yet: all of this would be done.")


def _ahead_as_json(config: Config, folder: RunFolder, ahead: Ahead, hardware: Hardware) -> dict[str, object]:
    return {
        "run_dir": str(folder.root),
        "config": config.model_dump(mode="json"),
        "changes": list(ahead.changes or ()),
        "stages": [
            dataclasses.asdict(stage.estimate)
            | {
                "seconds": stage.seconds,
                "state": stage.condition,
                "next": stage.step.action,
                "why": stage.step.why or stage.step.stage.skipped,
                "replaces_seconds": stage.state.seconds if stage.replaced and stage.state else 0.0,
            }
            for stage in ahead.stages
        ],
        "warning": does_not_fit((stage.estimate for stage in ahead.todo), hardware),
    }


def _print_ahead(config: Config, folder: RunFolder, ahead: Ahead, hardware: Hardware, screen: Screen) -> None:
    screen.say(f"{shown(folder.root)}: profile {config.profile}, seed {config.seed}\nOn {hardware.describe()}")
    if ahead.changes:
        screen.say("\n".join(["\nSettings that change:", *(f"  {change}" for change in ahead.changes)]))
    table = Table(
        Column("stage", "name", key=True),
        Column("now", "name"),
        Column("a run", "name"),
        Column("time", "whole"),
        Column("why"),
    )
    for stage in ahead.stages:
        now = f"{stage.condition}: {stage.amount.describe()}" if stage.amount else stage.condition
        time = duration(stage.seconds) if stage.step.action != "skip" else ""
        table.add(stage.step.stage.name, now, _deed(stage), time, stage.step.why or stage.step.stage.skipped)
    screen.say()
    screen.table(table)
    if not ahead.todo:
        screen.say("\nEverything is done: a run would do nothing.")
        return
    screen.say(f"\nEstimated: about {_span(ahead)}.")
    if ahead.replaced:
        screen.say(f"It would replace finished work that took {duration(ahead.lost_seconds)}. {ahead.kept()}")
    if warning := does_not_fit((stage.estimate for stage in ahead.todo), hardware):
        screen.say(warning)


def _span(ahead: Ahead) -> str:
    least, most = duration(ahead.certain_seconds), duration(ahead.seconds)
    return most if least == most else f"{least}, or up to {most} with the stages in doubt"


def _deed(stage: StageAhead) -> str:
    if stage.step.in_doubt:
        return "may repeat it"
    return {"skip": "skips it", "resume": "goes on", "start": "does it", "redo": "repeats it"}[stage.step.action]


def _print(config: Config, estimates: list[StageEstimate], hardware: Hardware, screen: Screen) -> None:
    screen.say(f"Profile {config.profile}: {config.description}\nOn {hardware.describe()}\n")
    models = Table(Column("role", key=True), Column("model", "name"), Column("parameters", "whole"), Column("from"))
    for role, model in used_models(config):
        models.add(role, model.path, _size(model), "local folder" if local_folder(model) else "Hugging Face Hub")
    screen.table(models)
    stages = Table(
        Column("stage", "name", key=True), Column("time", "whole"), Column("memory", "whole"), Column("what")
    )
    titles = {stage.name: stage.title for stage in ordered(config)}
    for e in estimates:
        stages.add(
            e.stage, duration(e.seconds), gigabytes(e.memory_gb) if e.memory_gb else "", e.detail or titles[e.stage]
        )
    screen.say()
    screen.table(stages)
    total, peak = sum(e.seconds for e in estimates), largest(estimates).memory_gb
    screen.say(f"\nEstimated: about {duration(total)} in total, peak memory about {gigabytes(peak)}.")
    if warning := does_not_fit(estimates, hardware):
        screen.say(warning)


def _size(model: ModelConfig) -> str:
    found = shape(model)
    if found is None:
        return "unknown"
    return f"{found.parameters / 1e9:.2f} B" if found.parameters >= 1e8 else f"{found.parameters / 1e6:.2f} M"
