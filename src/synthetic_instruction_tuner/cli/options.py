"""The options that most verbs share, how their values are read, and how they become a configuration and a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from synthetic_instruction_tuner.config import Config, change_config, load_config
from synthetic_instruction_tuner.config.overrides import conflicts
from synthetic_instruction_tuner.config.sections.section import LARGEST, checked_path
from synthetic_instruction_tuner.config.yaml_text import plain_value
from synthetic_instruction_tuner.errors import UserError, together
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.profiles import AUTO, auto_line, fitting_profile, hint
from synthetic_instruction_tuner.run.store.file import RUN_STORE

MOST_AN_HOUR = 1_000_000
ANOTHER = "Choose another --run-dir."


def whole_number(option: str, least: int, most: int = LARGEST) -> Callable[[object], int]:
    """Returns what reads a whole number of an option; it raises UserError for everything else."""

    def parse(text: object) -> int:
        number = plain_value(str(text).strip())
        if type(number) is not int or not least <= number <= most:
            cause = f"It must be a whole number from {least:,} to {most:,}, in digits."
            raise UserError(f"{option} {text} is not possible.", cause, f"Write for example {option} 20")
        return number

    return parse


def share(option: str) -> Callable[[object], float]:
    """Returns what reads a number above 0 and at most 1 of an option; it raises UserError for everything else."""

    def parse(text: object) -> float:
        number = plain_value(str(text).strip())
        if type(number) not in (int, float) or not 0 < number <= 1:
            cause = "It must be a number above 0 and at most 1."
            raise UserError(f"{option} {text} is not possible.", cause, f"Write for example {option} 0.8")
        return float(number)

    return parse


def price_of_an_hour(text: object) -> float:
    """Returns the price of an hour; raises UserError for what is no price."""
    number = plain_value(str(text).strip())
    if type(number) not in (int, float) or not 0 <= number <= MOST_AN_HOUR:
        cause = f"It must be a number from 0 to {MOST_AN_HOUR:,}, without a currency."
        raise UserError(f"--price-per-hour {text} is not possible.", cause, "Write for example --price-per-hour 0.35")
    return float(number)


def existing_path(text: object) -> Path:
    """Returns the path that a text names; ``~`` is the home folder. Raises UserError for what is no path."""
    return _path(str(text), "a file", "Name the file.")


def run_path(text: object) -> Path:
    """Returns the path of a run's folder, where a run is or can be.

    Raises:
        UserError: no folder can be made there, or another run is around it.
    """
    path = _path(str(text), "a run's folder", "Name a folder with --run-dir, or leave the option out.")
    try:
        if (path / RUN_STORE).exists():
            return path
        place = _nearest(path)
        fault = _fault(place)
        around = next((above for above in path.absolute().parents if (above / RUN_STORE).is_file()), None)
    except OSError as error:
        raise UserError(f"{path} cannot be a run's folder.", f"{error.strerror}.", ANOTHER) from None
    if fault:
        raise UserError(f"{path} cannot be a run's folder.", fault, ANOTHER)
    if around is not None and not (path / "config.json").exists():
        raise UserError(f"{path} cannot be a run's folder.", f"It is inside of the run {around}.", ANOTHER)
    return path


def output_path(text: object) -> Path:
    """Returns the path of a folder that results can be written to; raises UserError where that is impossible."""
    fix = "Choose another --output."
    path = _path(str(text), "a folder for results", fix)
    try:
        fault = _fault(_nearest(path))
    except OSError as error:
        fault = f"{error.strerror}."
    if fault:
        raise UserError(f"{path} cannot be a folder for results.", fault, fix)
    return path


def _path(text: str, what: str, fix: str) -> Path:
    if not text.strip():
        raise UserError(f"An empty text does not name {what}.", "It may come from an empty variable of the shell.", fix)
    if "\0" in text:
        raise UserError(f"{text!r} does not name {what}.", "It holds a NUL character.", fix)
    path = Path(os.path.expanduser(text))
    try:
        checked_path(str(path))
    except ValueError as error:
        raise UserError(f"{text[:60]}... does not name {what}.", f"{error}.".capitalize(), fix) from None
    if str(path).startswith("~") and not path.exists():
        raise UserError(f"{text} does not name {what}.", f"There is no home folder {path.parts[0]}.", fix)
    return path


def _nearest(path: Path) -> Path:
    """The path itself, or what is nearest above it, that exists."""
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    return place


def _fault(place: Path) -> str:
    """Why no folder can be made in a place that exists; or an empty text."""
    if not place.is_dir():
        return f"{place} is not a folder."
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} cannot be written to: permission denied."
    if not shutil.disk_usage(place).total:
        return f"{place} holds no files of users."
    return ""


Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        help="Profile to start from: nano (the default), cpu, t4, l4, a100, h200, or auto for what fits this machine.",
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


def profile_here() -> str:
    """Returns the profile that fits this machine."""
    return fitting_profile(detect())


def profile_line(profile: str | None, config: Path | None, run_dir: Path | None, hardware: Hardware) -> str | None:
    """Returns the first line of a run or a plan: which profile was taken, or which one would fit; mostly none."""
    if profile == AUTO:
        return auto_line(hardware)
    plain = profile is None and config is None and (run_dir is None or not run_folder(None, run_dir).holds_run())
    return hint(hardware) if plain else None


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
    if twice := conflicts(overrides or ()):
        raise together(twice)
    if run_dir is not None and profile is None and config is None:
        folder = run_folder(None, run_dir)
        folder.require_current_format()
        if folder.holds_run():
            return change_config(folder.read_config(), overrides or (), limit)
    return load_config(profile, config, overrides or (), limit, auto=profile_here)


def opened(
    profile: str | None,
    config: Path | None,
    overrides: list[str] | None,
    limit: int | None,
    run_dir: Path | None,
    *,
    new: bool,
    until: str | None = None,
) -> tuple[Config, RunFolder]:
    """Returns the configuration and the folder of a run that goes on, or begins.

    Args:
        new: whether a run may begin here.
        until: the last stage that is wanted, for the command that begins a run.

    Raises:
        UserError: a mistake in the options, or no run in the folder where none may begin.
    """
    named = [text for text in overrides or () if text.partition("=")[0].strip() in ("profile", "limit")]
    try:
        folder = run_folder(None if run_dir else load_config(profile, config, named, limit, auto=profile_here), run_dir)
    except UserError:
        load_config(profile, config, overrides or (), limit, auto=profile_here)  # which tells all mistakes at once
        raise
    folder.require_current_format()
    if not new:
        folder.require_run(f"sit run --until {until}" if until else "sit run")
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
