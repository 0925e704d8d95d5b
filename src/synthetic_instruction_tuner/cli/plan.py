"""``sit plan``: what a run would do, and its time and memory, before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from synthetic_instruction_tuner.cli.options import ConfigFile, Json, Limit, Profile, Set, configuration
from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.pipeline import ordered, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate, largest
from synthetic_instruction_tuner.run.roles import used_models
from synthetic_instruction_tuner.run.settings_check import check_settings


def plan(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
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
    check_settings(resolved, hardware)
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
    _print(resolved, estimates, hardware)


def _print(config: Config, estimates: list[StageEstimate], hardware: Hardware) -> None:
    console = Console(highlight=False)
    console.print(f"Profile {config.profile}: {config.description}\nOn {hardware.describe()}\n", markup=False)
    models = Table("role", "model", "parameters", "from", box=None, pad_edge=False)
    for role, model in used_models(config):
        models.add_row(role, model.path, _size(model), "local folder" if local_folder(model) else "Hugging Face Hub")
    console.print(models)
    stages = Table("stage", "what", "time", "memory", box=None, pad_edge=False, title_justify="left")
    titles = {stage.name: stage.title for stage in ordered(config)}
    for e in estimates:
        stages.add_row(e.stage, e.detail or titles[e.stage], duration(e.seconds), f"{e.memory_gb:.1f} GB")
    console.print("", stages)
    total, peak = sum(e.seconds for e in estimates), largest(estimates).memory_gb
    console.print(f"\nEstimated: about {duration(total)} in total, peak memory about {peak:.1f} GB.", markup=False)
    if warning := does_not_fit(estimates, hardware):
        console.print(warning, markup=False, soft_wrap=True)


def _size(model: ModelConfig) -> str:
    found = shape(model)
    if found is None:
        return "unknown"
    return f"{found.parameters / 1e9:.2f} B" if found.parameters >= 1e8 else f"{found.parameters / 1e6:.2f} M"
