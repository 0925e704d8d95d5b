"""Files that are whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import RunError, UserError
from .records import PreferencePair, Record

if TYPE_CHECKING:
    import pyarrow as pa

Row = Record | PreferencePair | Mapping[str, Any]


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a binary file that takes the path's place when the block ends without an error.

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
    """Makes the folder's own entries durable, where the system can."""
    with suppress(PermissionError, IsADirectoryError):  # Windows does not open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_error(path: Path, error: OSError) -> RunError | UserError:
    """Returns what the user is told about a failed write."""
    cause = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "Free some space and run it again; what was there before is still there."
        return RunError(f"The disk is full: {path} was not written.", cause, fix)
    return UserError(f"{path} cannot be written.", cause, "Choose another place, or allow writing there.")


def write_text(path: Path, text: str) -> None:
    """Writes a text as UTF-8; what UTF-8 cannot hold (a lone surrogate) stands there as its escape."""
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


def write_parquet(path: Path, rows: Iterable[Row]) -> int:
    """Writes a Parquet file and returns the number of rows.

    Columns are those of all rows. Objects, and columns that mix types, are held as JSON text; lists of messages stay
    lists. Lone surrogates, which Parquet's texts cannot hold, become question marks.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = [_plain(row) for row in rows]
    names = dict.fromkeys(name for row in plain for name in row)
    table = pa.table({name: _column([row.get(name) for row in plain]) for name in names})
    with atomic_file(path) as stream:
        pq.write_table(table, stream, compression="zstd")
    return len(plain)


def _plain(row: Row) -> dict[str, Any]:
    return dict(row) if isinstance(row, Mapping) else row.to_json()


def _line(row: Row) -> bytes:
    data = _plain(row)
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate: its escape is valid JSON, its bytes are not valid UTF-8
        return json.dumps(data).encode()


def _column(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    values = [_storable(value) for value in values]
    if any(isinstance(v, list) for v in values) and not any(values):  # nothing to see the type from
        return pa.array(values, pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})))
    if all(value is None for value in values):
        return pa.array(values, pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _storable(value: Any) -> Any:
    """The value as a Parquet column can hold it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, (list, tuple)):
        return [{k: _storable(v) for k, v in e.items()} if isinstance(e, Mapping) else _storable(e) for e in value]
    return value
