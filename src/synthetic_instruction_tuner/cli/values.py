"""Values of options that are no settings: paths and numbers, checked before anything is read or written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from synthetic_instruction_tuner.config.sections.section import LARGEST, checked_path
from synthetic_instruction_tuner.config.yaml_text import plain_value
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.store_file import RUN_STORE

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
