"""Atomic writing: a file is complete or absent. It is written under a temporary name, synced and renamed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from synthetic_instruction_tuner.errors import RunError, UserError, disk_full, is_disk_full
from synthetic_instruction_tuner.records import PreferencePair, Record

Row = Record | PreferencePair | Mapping[str, Any]


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary binary file that replaces the path when the block ends without an error.

    Until then, and after a crash at any instant, the path holds what it held before. The folder is made if needed.
    One process may write a path at a time.

    Raises:
        RunError: the disk is full.
        UserError: the path cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error


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
