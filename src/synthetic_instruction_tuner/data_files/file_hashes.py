"""Whether files are still what was written: their sizes and hashes, and putting aside what is not.

The hash is XXH3 with 128 bits. It finds damage, at several GB per second; it is no protection from forgery.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

FileHash = dict[str, Any]
"""A file's ``size`` in bytes and its ``hash``, as plain JSON values."""
Hashes = dict[str, FileHash]
"""What was written into a folder, by the files' paths below it."""

PORTION = 1 << 20  # bytes in memory


def file_hash(path: Path) -> FileHash:
    """Returns the size and the hash of a file.

    Raises:
        OSError: it cannot be read.
    """
    whole, size = xxhash.xxh3_128(), 0
    with path.open("rb", buffering=0) as stream:
        while portion := stream.read(PORTION):
            whole.update(portion)
            size += len(portion)
    return {"size": size, "hash": whole.hexdigest()}


def hashes(folder: Path, names: Iterable[str] | None = None) -> Hashes:
    """Returns the hashes of these files of a folder, or of all files directly in it."""
    if names is None:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return {name: file_hash(folder / name) for name in names}


def fault(path: Path, written: Mapping[str, Any], *, content: bool = True) -> str | None:
    """Returns what is wrong with a file, such as "was changed"; None if it is what was written.

    Args:
        path: the file.
        written: what `file_hash` returned when it was written.
        content: whether to read the file; otherwise only its kind and its size are looked at.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return _unreadable(error)
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFDIR: "is a folder", stat.S_IFLNK: "is a link to elsewhere"}
        return kinds.get(stat.S_IFMT(found.st_mode), "is not a file")
    if found.st_size != written.get("size"):
        return "is empty" if not found.st_size else "has another length" if _longer(found, written) else "is cut off"
    if not content:
        return None
    try:
        return None if file_hash(path) == written else "was changed"
    except OSError as error:
        return _unreadable(error)


def first_fault(folder: Path, written: Mapping[str, Any]) -> str | None:
    """Returns the first file of a folder that is not what was written, with what is wrong; None if all are."""
    if folder.is_symlink():
        return "it is a link to elsewhere"
    for name, entry in written.items():
        if reason := fault(folder / name, entry):
            return f"{name} {reason}"
    return None


def put_aside(path: Path, folder: Path | None = None) -> Path:
    """Renames whatever is at the path to a new name, beside it or in the folder, and returns that."""
    number = 1
    while os.path.lexists(target := (folder or path.parent) / f"{path.name}.damaged-{number}"):
        number += 1
    return path.rename(target)


def clear_way(path: Path, root: Path) -> Path | None:
    """Puts aside what keeps a file from being written at the path: a folder or link there, or a file as its parent.

    Args:
        path: where the file is to be.
        root: nothing above this folder is touched.

    Returns:
        The new name of what stood in the way, if something did.
    """
    above = [parent for parent in path.parents if parent != root and parent.is_relative_to(root)]
    for parent in reversed(above):
        if os.path.lexists(parent) and not parent.is_dir():
            return put_aside(parent)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return put_aside(path)
    return None


def _longer(found: os.stat_result, written: Mapping[str, Any]) -> bool:
    size = written.get("size")
    return not isinstance(size, int) or found.st_size > size


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"
