"""Folders of checkpoints: each appears whole or not at all, and the last ones are kept."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import sync_folder
from synthetic_instruction_tuner.errors import SitError, disk_full, is_disk_full

KEPT = 2  # while one is being written, the other is the one to fall back to
UNFINISHED = "unfinished"  # where one is written
NO_ROOM = 1 << 16  # bytes: with less left, a failed write is for want of room, whatever the library says


def folder_of(checkpoints: Path, step: int) -> Path:
    """Returns the folder of the checkpoint after so many steps."""
    return checkpoints / f"checkpoint-{step}"


def step_of(checkpoint: Path) -> int:
    """Returns how many steps were done when a checkpoint was written."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def in_order(checkpoints: Path) -> list[Path]:
    """Returns the folders of the checkpoints, whole or not, by their steps."""
    found = [path for path in checkpoints.iterdir() if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=step_of)


@contextmanager
def written_whole(checkpoints: Path, step: int) -> Iterator[Path]:
    """Within the block a checkpoint is written into a folder beside the others; at its end it is one of them.

    Args:
        checkpoints: the folder of all of them.
        step: how many steps are done; a checkpoint of the same step is replaced.

    Yields:
        The folder in which the checkpoint's own is made.

    Raises:
        RunError: the disk is full. What was written of the checkpoint is gone, and the others are as they were.
    """
    beside = checkpoints / UNFINISHED
    remove(beside)
    beside.mkdir()
    try:
        yield beside
    except Exception as error:
        full = _no_room(checkpoints, error)
        remove(beside)
        if full and not isinstance(error, SitError):
            raise disk_full(f"checkpoint-{step}") from error
        raise
    target = folder_of(checkpoints, step)
    remove(target)
    os.rename(folder_of(beside, step), target)
    sync_folder(checkpoints)
    remove(beside)
    for older in in_order(checkpoints)[:-KEPT]:
        remove(older)


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder with all that is in it; it may be absent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _no_room(folder: Path, error: Exception) -> bool:
    """Returns whether a write has failed because the disk is full; torch and safetensors have errors of their own."""
    if isinstance(error, OSError) and is_disk_full(error):
        return True
    return shutil.disk_usage(folder).free < NO_ROOM
