"""Settings that name files: a relative path in a YAML file is one from the folder of that file.

On the command line it is one from the working directory. What must be found again from anywhere is made absolute:
topics are read at once; contamination files and the user's own data are stored in a run with their whole path. A model
may also be a Hub id, so its path is taken from the YAML file's folder only where something is there; where that folder
is the working directory it stays as it is written, and with it the keys of the stages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config.sections.data import HUB

FILES = re.compile(
    r"generate\.(domains\..*\.)?topics|filter\.contamination\.(folder|files\[\])|agents\.tasks", re.DOTALL
)
"""Settings whose text is the path of a file that must be there; ``[]`` is an entry of a list."""

DATA = re.compile(r"data\.(records|prompts|pairs)(\[\])?")
"""Settings whose text is the path of a file, or a data set of the Hub, which begins with ``hf:``."""

MODELS = re.compile(r"filter\.tokenizer|(filter\.tags\.model|models\.\w+(\[\])?)(\.path|\.chat_template)?")
"""Settings whose text is a path or a name on the Hub."""


def with_paths(value: Any, folder: Path, place: str = "") -> Any:
    """Returns settings, as nested plain values, with the paths that are relative to a folder resolved.

    Values that are no settings stay as they are; they are refused later.

    Args:
        value: the settings, or a part of them.
        folder: what the paths are relative to.
        place: the dotted name of the part.
    """
    if isinstance(value, dict):
        return {key: with_paths(part, folder, f"{place}.{key}" if place else str(key)) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_paths(part, folder, f"{place}[]") for part in value]
    if FILES.fullmatch(place):
        return _path(value, folder)
    if DATA.fullmatch(place):
        return value if isinstance(value, str) and value.startswith(HUB) else _path(value, folder)
    return _path_of_model(value, folder) if MODELS.fullmatch(place) else value


def _path(value: Any, folder: Path) -> Any:
    """A path whose file must be there, as an absolute one."""
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("~"):
        return value
    return str((folder / value).absolute())


def _path_of_model(value: Any, folder: Path) -> Any:
    """A path that may also be a name on the Hub."""
    path = _path(value, folder)
    if path == value or not isinstance(path, str) or folder.absolute() == Path.cwd():
        return value
    try:
        return path if Path(path).exists() else value
    except OSError:
        return value
