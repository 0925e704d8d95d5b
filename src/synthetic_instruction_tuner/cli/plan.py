"""``sit plan``: what a run would do, and its time and memory, before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import ConfigFile, Json, Limit, Profile, Set, Wide, configuration
from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.pipeline import ordered, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate, largest
from synthetic_instruction_tuner.run.roles import used_models


def plan(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    wide: Wide = False,
    as_json: Json = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print the whole resolved configuration instead.")
    ] = False,
) -> None:
    """Prints the plan."""
    resolved = configuration(profile, config, set_, limit)
    if settings:
        typer.echo(resolved.as_json(), nl=False)
        return
    hardware = detect(resolved.engine.device)
    estimates = sorted(estimate(resolved, hardware), key=lambda e: stage_names(resolved).index(e.stage))
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "config": resolved.model_dump(mode="json"),
                    "stages": [dataclasses.asdict(e) for e in estimates],
                    "warning": does_not_fit(estimates, hardware),
                }
            )
        )
        return
    _print(resolved, estimates, hardware, Screen(wide=wide))


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
        stages.add(e.stage, duration(e.seconds), gigabytes(e.memory_gb), e.detail or titles[e.stage])
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
