"""The options that most verbs share, and how they become a configuration and a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.values import existing_path, run_path, whole_number
from synthetic_instruction_tuner.config import Config, change_config, load_config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.folder import RunFolder

Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        help="Profile to start from: nano (the default), t4, a100 or h200.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Your own YAML file, applied on top of the profile.",
        parser=existing_path,
        metavar="FILE",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override one setting, such as filter.min_words=10. Repeatable.",
        metavar="KEY=VALUE",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        help="Cap every count at this number, for a trial run.",
        parser=whole_number("--limit", 1),
        metavar="NUMBER",
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        "-d",
        help="The run's folder; runs/PROFILE when not given.",
        parser=run_path,
        metavar="FOLDER",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Wide = Annotated[bool, typer.Option("--wide", help="Do not fit tables to the screen: a row is a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Replace finished work without asking.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors and the result.")]


def configuration(
    profile: str | None,
    config: Path | None,
    overrides: list[str] | None,
    limit: int | None,
    run_dir: Path | None = None,
) -> Config:
    """Returns the configuration that the options describe.

    In a folder that holds a run they change its stored settings, and all others stay as they are. A profile or a file
    describes a whole run: it replaces them.
    """
    if run_dir is not None and profile is None and config is None:
        folder = run_folder(None, run_dir)
        folder.require_current_format()
        if folder.holds_run():
            return change_config(folder.read_config(), overrides or (), limit)
    return load_config(profile, config, overrides or (), limit)


def opened(
    profile: str | None,
    config: Path | None,
    overrides: list[str] | None,
    limit: int | None,
    run_dir: Path | None,
    *,
    new: bool,
) -> tuple[Config, RunFolder]:
    """Returns the configuration and the folder of a run that goes on, or begins.

    Args:
        new: whether a run may begin here.

    Raises:
        UserError: a mistake in the options, or no run in the folder where none may begin.
    """
    named = [text for text in overrides or () if text.partition("=")[0].strip() in ("profile", "limit")]
    folder = run_folder(None if run_dir else load_config(profile, config, named, limit), run_dir)
    folder.require_current_format()
    if not new:
        folder.require_run()
    return configuration(profile, config, overrides, limit, folder.root), folder


def run_folder(config: Config | None, run_dir: Path | None) -> RunFolder:
    """Returns the run's folder: the one given, or one named after the profile and the limit."""
    if run_dir is not None or config is None:
        run_dir = run_dir or Path("runs/nano")
        if run_dir.exists() and not run_dir.is_dir():
            raise UserError(f"{run_dir} is not a folder.", "", "Choose another --run-dir.")
        return RunFolder(run_dir)
    name = config.profile + (f"-limit{config.limit}" if config.limit else "")
    return RunFolder(Path("runs") / name)


def existing_run(run_dir: Path | None) -> tuple[Config, RunFolder]:
    """Returns a run that was started before, with its configuration; see `RunFolder.read_config`."""
    folder = run_folder(None, run_dir)
    return folder.read_config(), folder
