"""Atomic writing: a file is complete or absent. It is written under a temporary name, synced and renamed."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from synthetic_instruction_tuner.errors import RunError, UserError, disk_full, is_disk_full
from synthetic_instruction_tuner.records import PreferencePair, Record

REPEATED = 40  # characters of a file's name that are in its temporary file's name, which has 255 bytes at most
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(-journal|-wal|-shm)?", re.DOTALL)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0)  # Windows
_cleaned: set[Path] = set()  # the folders without leftovers

Row = Record | PreferencePair | Mapping[str, Any]


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary binary file that replaces the path when the block ends without an error.

    Until then, and after a crash at any instant, the path holds what it held before. The folder is made if needed.
    The temporary file is a new one, never one that somebody else has put there, nor what a link leads to. A path that
    is a link is replaced itself; what it leads to stays. The file has the user's umask. One process may write a path
    at a time.

    Raises:
        RunError: the disk is full.
        UserError: the path cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        temporary, handle = new_file(path)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                os.replace(temporary, path)  # still locked: nobody takes it for a leftover
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error


def new_file(path: Path) -> tuple[Path, int]:
    """Makes a temporary file beside the path, under a name that nobody can know before; returns it, open and locked.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        temporary = path.with_name(f".{path.name[:REPEATED]}.{secrets.token_hex(8)}.tmp")
        with suppress(FileExistsError):
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK | BINARY, 0o666)
            lock(handle, wait=True)
            if temporary.exists():
                return temporary, handle
            os.close(handle)  # another process took it for a leftover before it was locked


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files of processes that were killed; a process does so once per folder, before it writes."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    names: list[str] = []
    with suppress(OSError):  # writing there says what is wrong
        names = os.listdir(folder)
    for name in names:
        if TEMPORARY.fullmatch(name):
            with suppress(OSError):  # it is a link or in use, or has just gone
                handle = os.open(folder / name, os.O_RDWR | NO_LINK)
                try:
                    if lock(handle):
                        os.unlink(folder / name)
                finally:
                    os.close(handle)


def lock(handle: int, wait: bool = False) -> bool:
    """Locks an open file or folder until it is closed or the process ends; returns whether nobody else has it.

    Where the system has no such locks, everybody has them.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True


def apply_umask(folder: Path) -> None:
    """Gives the files in a folder the permissions that the user's umask allows, where a library gave them fewer."""
    probe, handle = new_file(folder / "umask")
    try:
        allowed = os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)
        probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777 | allowed)


def sync_folder(folder: Path) -> None:
    """Makes the folder's own entries durable, where the system supports it."""
    with suppress(PermissionError, IsADirectoryError):  # Windows does not open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_error(path: Path, error: OSError) -> RunError | UserError:
    """Returns the error to show for a failed write."""
    if is_disk_full(error):
        return disk_full(path)
    cause = error.strerror or str(error)
    return UserError(f"{path} cannot be written.", cause, "Choose another place, or allow writing there.")


def write_text(path: Path, text: str) -> None:
    """Writes a text as UTF-8; what UTF-8 cannot hold (a lone surrogate) is written as its escape."""
    with atomic_file(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, rows: Iterable[Row]) -> int:
    """Writes a JSON list, one row per line, and returns the number of rows."""
    count = 0
    with atomic_file(path) as stream:
        for row in rows:
            stream.write((b",\n" if count else b"[\n") + _line(row))
            count += 1
        stream.write(b"\n]\n" if count else b"[]\n")
    return count


def write_jsonl(path: Path, rows: Iterable[Row]) -> int:
    """Writes JSON lines and returns the number of rows."""
    count = 0
    with atomic_file(path) as stream:
        for row in rows:
            stream.write(_line(row) + b"\n")
            count += 1
    return count


def _plain(row: Row) -> dict[str, Any]:
    return dict(row) if isinstance(row, Mapping) else row.to_json()


def _line(row: Row) -> bytes:
    return json_bytes(_plain(row))


def json_bytes(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """Returns a value as JSON in UTF-8.

    NaN and the infinities, which Parquet files may hold and JSON cannot, become null; a lone surrogate, which UTF-8
    cannot hold, becomes its escape.

    Args:
        value: the value.
        default: converts values that JSON has no type for; see `json.dumps`.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=default)
    except ValueError:
        text = json.dumps(_without_nan(value), ensure_ascii=False, default=default)
    return text.encode("utf-8", "backslashreplace")


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class AppendedLines:
    """A file to which JSON lines are appended, each on the disk before the next.

    A last line that a crash has cut off is no line; the first one that is added takes its place. Until then the file
    stays as it is.

    Args:
        path: the file; made where it does not exist.

    Attributes:
        lines: the whole lines that were there.

    Raises:
        UserError, RunError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.seek(0)
            whole, end, self._torn = self._file.read().rpartition(b"\n")
        except OSError as error:
            raise write_error(path, error) from error
        self.lines = whole.split(b"\n") if end else []

    def add(self, row: Row) -> None:
        """Writes a row through to the disk.

        Raises:
            UserError, RunError: it cannot be written.
        """
        try:
            if self._torn:
                self._file.truncate(self._file.seek(0, os.SEEK_END) - len(self._torn))
                self._torn = b""
            self._file.write(_line(row) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
