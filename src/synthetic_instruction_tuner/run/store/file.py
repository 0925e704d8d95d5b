"""The store's file: its tables, its format, how it is created and set aside, and what SQLite's errors mean.

Together with `store`, the only module with SQL.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import new_file, remove_leftovers, sync_folder
from synthetic_instruction_tuner.errors import RunError, SitError, UserError, disk_full, is_disk_full

SCHEMA_VERSION = 3
RUN_STORE = "run.sqlite"  # a store of another name belongs to no run folder
SIDE_FILES = ("-wal", "-shm", "-journal")

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE stages (name TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE batches (
    unit TEXT NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL, digest TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (unit, number)) WITHOUT ROWID;
CREATE TABLE rows (
    unit TEXT NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (unit, batch, position)) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
"""


def require_current_format(path: Path) -> None:
    """Stops where another version of sit wrote the store; a missing or damaged one is left to `Store.open`.

    Nothing is written, not even the files that SQLite keeps beside a store that is open.

    Raises:
        UserError: the store has another format.
    """
    if not path.is_file():
        return
    with contextlib.suppress(sqlite3.Error):
        # The format is in the file itself since its creation, never only in the log beside it.
        target = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(target, uri=True)) as db:
            found = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if found is not None and found[0] != str(SCHEMA_VERSION):
            raise other_format(path, found[0])


def other_format(path: Path, found: str) -> UserError:
    """Returns the error for a store of another format."""
    age = "a later" if found.isdecimal() and int(found) > SCHEMA_VERSION else "an earlier"
    cause = f"Its store has format {found}; this version reads format {SCHEMA_VERSION}."
    if path.name != RUN_STORE:
        return UserError(f"{path} was made by {age} version of sit.", cause, "Delete it, then run the same command.")
    data = path.parent / "data"
    return UserError(
        f"The run in {path.parent} was made by {age} version of sit.",
        cause,
        f"Use another --run-dir, or the version that made it. The data files in {data} can still be read: "
        "sit filter FILES -o DIR.",
    )


def set_aside(path: Path) -> Path | None:
    """Renames a damaged store so that the run can start anew; returns the new name, or None when there was none."""
    if not path.exists():
        return None
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    # The log first: it would be read as the new store's log.
    for tail in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path.with_name(path.name + tail), target.with_name(target.name + tail))
    return target


def create_store(path: Path) -> None:
    """Makes an empty store under another name and renames it, so that a crash never leaves half of one."""
    remove_leftovers(path.parent)
    for tail in SIDE_FILES:
        path.with_name(f"{path.name}{tail}").unlink(missing_ok=True)
    try:
        new, handle = new_file(path)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path) from error
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error
    os.close(handle)
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.executescript(f"PRAGMA synchronous=FULL; BEGIN; {SCHEMA} COMMIT;")
        db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
    os.replace(new, path)
    sync_folder(path.parent)


def uses_log(path: Path) -> bool:
    """Returns whether the file says that changes are in a log beside it first; no where it cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"
    return False


def shares_memory(folder: Path) -> bool:
    """Returns whether processes can share memory through a file there, which SQLite's write-ahead log needs.

    Some mounted drives offer none. Where no file can be written at all, SQLite itself says why.
    """
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(mmap.PAGESIZE))
        file.flush()
        try:
            mmap.mmap(file.fileno(), mmap.PAGESIZE).close()
        except OSError:
            return False
    return True


def damaged(path: Path, cause: str) -> RunError:
    """Returns the error for a store that is not what was written."""
    return RunError(
        f"The store {path} is damaged.",
        cause,
        "Run again with --repair: damaged batches are rebuilt, the rest is kept; an unreadable store is set aside.",
    )


def explained(path: Path, error: sqlite3.Error) -> SitError:
    """Returns the error to show for an error of SQLite's."""
    text = str(error)
    if "disk is full" in text or ("disk I/O" in text and _is_full(path.parent)):
        return disk_full(path)
    if "locked" in text:
        fix = "Wait for it, or use another --run-dir."
        return UserError(f"The run in {path.parent} is in use.", "Another process is writing to it.", fix)
    if "readonly" in text or "unable to open" in text:
        return UserError(f"{path} cannot be opened.", text, "Check the folder and its permissions.")
    if "disk I/O" in text:
        return RunError(f"The store {path} cannot be reached.", text, "Check the disk, then run it again.")
    return damaged(path, text)


def _is_full(folder: Path) -> bool:
    # SQLite reports a log that cannot grow as an input/output error.
    return shutil.disk_usage(folder).free < 1 << 20


def snapshot(path: Path, target: Path) -> None:
    """Writes a copy of a store with all that is committed, in one file, whatever lies in the log beside it.

    Raises:
        RunError: it cannot be read, or the disk is full.
    """
    try:
        source = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except sqlite3.Error as error:
        if "full" in str(error):
            raise disk_full(target) from error
        raise RunError(f"The store {path} cannot be read.", str(error), "Mend it: sit run --repair.") from error
