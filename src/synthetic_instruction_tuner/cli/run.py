"""``sit run``: the whole pipeline, or what is left of it."""

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
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.progress import Display

From = Annotated[str | None, typer.Option("--from", help="Run this stage and all later ones again.", metavar="STAGE")]
Until = Annotated[str | None, typer.Option("--until", help="Stop after this stage.", metavar="STAGE")]
Repair = Annotated[bool, typer.Option("--repair", help="Drop damaged parts of the store and rebuild them.")]


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
    folder = run_folder(resolved, run_dir)
    run_and_print(resolved, folder, start=from_, until=until, repair=repair, as_json=as_json, quiet=quiet)


def run_and_print(
    config: Config,
    folder: RunFolder,
    *,
    start: str | None = None,
    until: str | None = None,
    repair: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Runs the pipeline and prints the outcome; shared by ``run`` and the single-stage verbs."""
    # Imported here: a mistake in the options is reported before the stages, and numpy with them, are loaded.
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.run.execution import execute
    from synthetic_instruction_tuner.run.settings_check import check_settings, check_stages

    check_stages(config, start, until)
    if not folder.store.exists():  # a run that was started goes on to what is left of it, and checks then
        check_settings(config, detect(config.engine.device), until)
    states = execute(config, folder, Display(quiet=quiet or as_json), start=start, until=until, repair=repair)
    if as_json:
        typer.echo(json.dumps({"run_dir": str(folder.root), "stages": [state.to_json() for state in states]}))
    else:
        print_summary(folder, states, quiet)
