"""``sit run``: the whole pipeline, or what is left of it, and the question before finished work is replaced."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Profile,
    Quiet,
    RunDir,
    Set,
    Yes,
    opened,
    profile_line,
)
from synthetic_instruction_tuner.cli.summary import print_summary, states_as_json
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.progress import Display

if TYPE_CHECKING:
    from synthetic_instruction_tuner.run.remaining import Ahead

ASKED_FROM, REFUSED_FROM = 10.0, 600.0  # seconds that the work to be replaced took
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
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Runs the pipeline."""
    if from_ or until:
        from synthetic_instruction_tuner.run.checks.settings_checks import check_stages

        check_stages(None, from_, until)
    resolved, folder = opened(profile, config, set_, limit, run_dir, new=not (from_ or repair))
    if not (quiet or as_json) and (line := _first_line(profile, config, run_dir, resolved)):
        typer.echo(line, err=True)
    run_and_print(resolved, folder, start=from_, until=until, repair=repair, yes=yes, as_json=as_json, quiet=quiet)


def _first_line(profile: str | None, config: Path | None, run_dir: Path | None, resolved: Config) -> str | None:
    from synthetic_instruction_tuner.models.hardware import detect

    return profile_line(profile, config, run_dir, detect(resolved.engine.device))


def run_and_print(
    config: Config,
    folder: RunFolder,
    *,
    start: str | None = None,
    until: str | None = None,
    repair: bool = False,
    yes: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Runs the pipeline and prints the outcome; shared by ``run`` and the single-stage verbs."""
    # Imported here: a mistake in the options is reported before the stages, and numpy with them, are loaded.
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.run.checks.settings_checks import check_settings, check_stages
    from synthetic_instruction_tuner.run.execution import execute

    check_stages(config, start, until)
    if not folder.store.exists():  # a run that was started goes on to what is left of it, and checks then
        check_settings(config, detect(config.engine.device), until)
    silent = quiet or as_json
    agree = partial(agreement, silent=silent) if not yes else None
    states = execute(config, folder, Display(quiet=silent), start=start, until=until, repair=repair, agree=agree)
    if as_json:
        typer.echo(json.dumps({"run_dir": str(folder.root), "stages": states_as_json(config, folder, states)}))
    else:
        print_summary(config, folder, states, quiet)


def agreement(ahead: Ahead, *, silent: bool) -> None:
    """Asks before finished work is replaced; where nobody can answer, stops if that work took long.

    Args:
        ahead: what will be done; it has been shown unless `silent`.

    Raises:
        UserError: nobody can be asked, and much would be replaced.
        typer.Exit: the answer is no.
    """
    seconds = ahead.lost_seconds
    answers = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    if seconds < (ASKED_FROM if answers else REFUSED_FROM):
        return
    if silent:
        for line in ahead.lines():
            typer.echo(line, err=True)
    if not answers:
        stages = ", ".join(stage.step.stage.name for stage in ahead.replaced)
        raise UserError(
            f"Finished work that took {duration(seconds)} would be replaced: {stages}.",
            "Nobody can be asked here: the input is not a terminal.",
            "Add --yes, or keep it and use another --run-dir. 'sit plan' with the same options shows what would run.",
        )
    if not typer.confirm("Go on?", err=True):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)
