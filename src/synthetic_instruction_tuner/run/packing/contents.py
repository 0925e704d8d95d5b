"""What an archive of a run holds: a list of its files first, then the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from synthetic_instruction_tuner.errors import RunError, UserError

FORMAT, LIST, SUFFIX = 1, "sit_pack.json", ".tar.zst"
PORTION = 1 << 20  # bytes in memory
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
            whole = all(_inside(name) and isinstance(entry["size"], int) for name, entry in files.items())
            named = _inside(found["name"]) and "/" not in found["name"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise damaged(archive, "its list of files cannot be read") from error
        if not whole or not named:
            raise damaged(archive, "its list names files outside of the run")
        return cls(found["name"], str(found.get("sit")), files)


def damaged(archive: Path, cause: str) -> RunError:
    """Returns the error for an archive that is not what was packed."""
    return RunError(f"{archive} is damaged.", cause, "Get it again, or pack the run again. Nothing was unpacked.")


def _inside(name: object) -> bool:
    """Returns whether a name is a path below a folder, also on Windows."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name or ":" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name and name != "."
