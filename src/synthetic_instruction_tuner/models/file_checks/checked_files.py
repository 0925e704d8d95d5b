"""Reads a model's files strictly: whatever a file says of itself, nothing is allocated for it and nothing waits."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

AGAIN = "Get this file again, such as from the model's page on the Hub."
_LONGEST_JSON = 256 << 20  # bytes; the largest tokenizer.json in use has some 40 MB
_KINDS = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_LOOKED_AT = 512  # bytes at the beginning of a file that tell what it is


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a model.

    Attributes:
        reason: the file and its fault.
        fix: what to do.
        absent: whether there is no such folder.
    """

    reason: str
    fix: str
    absent: bool = False


class Unsound(ValueError):
    """A file that cannot be what it should be."""

    def __init__(self, file: object, reason: str, fix: str = AGAIN, absent: bool = False) -> None:
        super().__init__(f"{file} {reason}")
        self.fault = Fault(f"{file} {reason}", fix, absent)


def exists(file: Path) -> bool:
    """Returns whether there is such a file, or a link of that name."""
    return file.exists() or file.is_symlink()


def regular(file: Path) -> os.stat_result:
    """Returns a file's status; one that is no regular file would keep a reader waiting, or read something else."""
    if "\0" in str(file):
        raise Unsound(str(file).replace("\0", "\\0"), "has a NUL character in its name", "Correct the path.")
    try:
        status = file.stat()
    except FileNotFoundError:
        kind = "is a link to a file that is not there" if file.is_symlink() else "is not there"
        raise Unsound(file, kind) from None
    except OSError as error:
        raise Unsound(f"{str(file)[:60]}...", f"cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Unsound(file, f"is a {'folder' if stat.S_ISDIR(status.st_mode) else 'pipe or device'}, not a file")
    if status.st_size == 0:
        raise Unsound(file, "is empty")
    return status


def impostor(file: Path) -> Unsound | None:
    """Returns what stands in the place of a model's file, where it is a pointer or a page that a download left there.

    Args:
        file: a regular file.
    """
    with file.open("rb") as stream:
        start = stream.read(_LOOKED_AT).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"version https://git-lfs.github.com/"):
        fix = "Get the file itself: run 'git lfs pull' in that folder, or 'hf download' with the model's name."
        return Unsound(file, "is a pointer of Git LFS, not the file itself", fix)
    if re.match(rb"<(!doctype html|html|head|body|!--|\?xml)", start, re.IGNORECASE):
        return Unsound(file, "is a web page, saved under this name")
    return None


def read_text(file: Path) -> str:
    """Returns a text file's content.

    Raises:
        Unsound: it is not there, no regular file, empty, too long or not UTF-8.
    """
    if regular(file).st_size > _LONGEST_JSON:
        raise Unsound(file, f"has more than {_LONGEST_JSON / 1e6:.0f} MB")
    if file.suffix != ".jinja" and (fault := impostor(file)):
        raise fault
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unsound(file, f"is not UTF-8 text (byte {error.start:,})") from None


def read_object(file: Path) -> Mapping[str, Any]:
    """Returns what a JSON file holds; of tokenizer.json, which is large, nothing.

    Raises:
        Unsound, OSError: it cannot be read, or holds no object.
    """
    status = regular(file)
    return _parsed(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _parsed(file: Path, size: int, changed: int) -> Mapping[str, Any]:
    text = read_text(file)
    if text.startswith("\ufeff"):
        raise Unsound(file, "begins with a byte order mark", "Save it as UTF-8 without one.")
    try:
        data = json.loads(text)
    except RecursionError:
        raise Unsound(file, "is nested too deeply") from None
    except ValueError as error:
        raise Unsound(file, f"is not valid JSON ({' '.join(str(error).split())[:100]})") from None
    if _deeper_than(data, 100):
        raise Unsound(file, "is nested too deeply")
    if not isinstance(data, dict):
        raise Unsound(file, f"holds {_KINDS.get(type(data), 'a number')}, not an object with keys")
    return {} if file.name == "tokenizer.json" else data  # the largest; its content is the library's business


def _deeper_than(data: object, most: int) -> bool:
    level = [data]
    for _ in range(most):
        level = [v for x in level if isinstance(x, (dict, list)) for v in (x.values() if isinstance(x, dict) else x)]
        level = [v for v in level if isinstance(v, (dict, list))]
        if not level:
            return False
    return True


def shortened(value: object) -> str:
    """Returns a value as JSON of a readable length."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."
