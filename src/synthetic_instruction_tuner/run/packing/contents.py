"""What an archive of a run holds: a list of its files first, then the files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from synthetic_instruction_tuner.errors import RunError, UserError

FORMAT, LIST, SUFFIX = 1, "sit_pack.json", ".tar.zst"
PORTION = 1 << 20  # bytes in memory
LONGEST_LIST = 1 << 28  # bytes
Progress = Any
"""Is called with the number of bytes that are done."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a run.

    Attributes:
        name: the run's.
        version: of sit that packed it.
        files: by path below the run's folder: size, hash, and ``time``, when it was written, in nanoseconds.
    """

    name: str
    version: str
    files: Mapping[str, Mapping[str, Any]]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(int(entry["size"]) for entry in self.files.values())

    def to_json(self) -> bytes:
        """Returns the list as it stands in an archive."""
        plain = {"format": FORMAT, "name": self.name, "sit": self.version, "files": self.files}
        return json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, archive: Path, content: bytes) -> Contents:
        """Returns the list of an archive.

        Raises:
            UserError: it is of another format.
            RunError: it is damaged, or names a file outside of the run's folder.
        """
        try:
            found = json.loads(content)
            if found["format"] != FORMAT:
                cause = f"It has format {found['format']}; this version of sit reads format {FORMAT}."
                fix = f"Use the version of sit that packed it: {found.get('sit')}."
                raise UserError(f"{archive} was packed by another version of sit.", cause, fix)
            files = {str(name): dict(entry) for name, entry in found["files"].items()}
            named = portable(found["name"]) and "/" not in found["name"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise damaged(archive, "its list of files cannot be read") from error
        if not named or not all(map(portable, files)):
            raise damaged(archive, "its list names files outside of the run")
        if below := _below_files(files):
            raise damaged(archive, f"its list has {below} below a file")
        if not all(map(_sound, files.values())):
            raise damaged(archive, "its list has no size, hash and time of each file")
        return cls(found["name"], str(found.get("sit")), files)


def damaged(archive: Path, cause: str) -> RunError:
    """Returns the error for an archive that is not what was packed."""
    return RunError(f"{archive} is damaged.", cause, "Get it again, or pack the run again. Nothing was unpacked.")


def portable(name: object) -> bool:
    """Returns whether an archive can hold a name: it is UTF-8, and a path below a folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and name != "."


def fits_here(name: str, windows: bool = os.name == "nt") -> bool:
    """Returns whether this system takes a name as it is: Windows reads some signs as a disk, or as a folder's end."""
    return not (windows and set(name) & set(":\\"))


def _below_files(files: Mapping[str, Any]) -> str | None:
    """Returns a name below one that is a file's."""
    return next((name for name in files for above in PurePosixPath(name).parents if str(above) in files), None)


def _sound(entry: Mapping[str, Any]) -> bool:
    size, time = entry.get("size"), entry.get("time")
    return type(size) is int and size >= 0 and type(time) is int and abs(time) < 1 << 63 and _is_hash(entry.get("hash"))


def _is_hash(found: object) -> bool:
    return isinstance(found, str) and bool(found)
