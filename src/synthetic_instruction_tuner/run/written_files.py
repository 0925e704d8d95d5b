"""The files that finished stages have left: recorded with size and hash, and verified whenever a stage is skipped.

The record is in the store. A run that has nothing to do reads `READ_AT_ONCE` bytes of files at most; beyond that a file
of the recorded size and time counts as unchanged. A run that has something to do reads all of them first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.file_hashes import fault, file_hash, put_aside
from synthetic_instruction_tuner.errors import RunError, SitError
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.store import Store

READ_AT_ONCE = 2 << 30  # bytes; half a second where the files are in memory
WEIGHTS = "adapter_model.safetensors"
NAMED = 3  # damaged files that one line names


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what its stage has written; without a path, the record of the files itself."""

    path: Path | None
    name: str
    fault: str

    def __str__(self) -> str:
        return f"{self.name} {self.fault}"


class WrittenFiles:
    """Records and verifies the files of one run's stages; each file is read once, unless it changes meanwhile."""

    def __init__(self, folder: RunFolder) -> None:
        self.root = folder.root
        self._left: int | None = READ_AT_ONCE
        self._seen: dict[tuple[Any, ...], str | None] = {}
        self._lost = False

    def read_all(self) -> None:
        """Lifts the limit on how much is read: something will be made from these files."""
        self._left = None

    def record(self, store: Store, stage: str, paths: Iterable[Path]) -> None:
        """Keeps size, hash and time of the files that a stage has left, also for other stages that left them before."""
        entries = {self._name(path): _entry(path) for path in paths if path.is_file()}
        every: dict[str, dict[str, Any]] = _recorded(store) or {}
        for files in every.values():
            files.update((name, entry) for name, entry in entries.items() if name in files)
        _keep(store, every | {stage: entries})

    def names(self, store: Store) -> list[str]:
        """Returns the paths of all recorded files, below the run's folder."""
        return [name for files in (_recorded(store) or {}).values() for name in files]

    def forget(self, store: Store, stage: str) -> list[Path]:
        """Drops a stage's record; returns the files that were in it."""
        every = _recorded(store) or {}
        names = every.pop(stage, {})
        _keep(store, every)
        return [self.root / name for name in names]

    def damage(self, store: Store, stage: str, paths: Iterable[Path] = ()) -> list[Damage]:
        """Returns the recorded files of a stage that are not what was written, and those of `paths` that are gone."""
        every = _recorded(store)
        self._lost |= every is None
        if self._lost or every is None:  # also after the first stages have been recorded anew
            return [Damage(None, "the record of its files", "is damaged")]
        known = every.get(stage, {})
        gone: dict[str, dict[str, Any]] = {self._name(path): {} for path in paths if not os.path.lexists(path)}
        found = ((name, self._fault(self.root / name, entry)) for name, entry in (gone | known).items())
        return [Damage(self.root / name, name, reason) for name, reason in found if reason]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _fault(self, path: Path, entry: dict[str, Any]) -> str | None:
        written = {name: value for name, value in entry.items() if name != "time"}
        if reason := fault(path, written, content=False):
            return reason
        found = path.stat()
        key = (path, written["hash"], found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        if key not in self._seen:
            if self._left is not None:
                if found.st_size > self._left and found.st_mtime_ns == entry.get("time"):
                    return None
                self._left = max(0, self._left - found.st_size)
            self._seen[key] = fault(path, written)
        return self._seen[key]


def one_line(damage: list[Damage]) -> str:
    """Returns what is wrong, in one line for the user."""
    shown = "; ".join(str(one) for one in damage[:NAMED])
    return shown + (f"; and {len(damage) - NAMED} more" if len(damage) > NAMED else "")


def keep_damaged(damage: Damage) -> Path | None:
    """Puts aside what is left of a damaged file, which may be the user's edit; an adapter with its whole folder.

    Returns:
        The new name; None where there was nothing to keep.
    """
    return keep_file(damage.path) if damage.path else None


def keep_file(file: Path) -> Path | None:
    """Puts a file aside that a stage is going to write; an adapter with its whole folder.

    Returns:
        The new name; None where there was nothing to keep.
    """
    path = file.parent if file.name == WEIGHTS else file
    empty = path.is_file() and not path.stat().st_size
    return put_aside(path) if os.path.lexists(path) and not empty else None


def require_whole(folder: RunFolder, stage: str, below: Path) -> None:
    """Stops where a finished stage's files below a path are damaged.

    Raises:
        RunError: they are, or their record cannot be read.
    """
    try:
        store = Store.open(folder.store, readonly=True)
    except SitError:
        return  # without its store, nothing is known of the files
    try:
        every = WrittenFiles(folder).damage(store, stage)
        damage = [one for one in every if one.path is None or one.path.is_relative_to(below)]
    finally:
        store.close()
    if damage:
        fix = f"Run 'sit run --run-dir {shown(folder.root)}': it is made again."
        raise RunError(f"{below.relative_to(folder.root)} is damaged.", one_line(damage), fix)


def _entry(path: Path) -> dict[str, Any]:
    return file_hash(path) | {"time": path.stat().st_mtime_ns}


FACT = "written_files"


def _recorded(store: Store) -> dict[str, dict[str, Any]] | None:
    """Returns the record by stage and file; None if it is damaged."""
    try:
        return dict(store.fact(FACT) or {})
    except RunError:
        return None


def _keep(store: Store, files: dict[str, dict[str, Any]]) -> None:
    store.set_fact(FACT, files)
