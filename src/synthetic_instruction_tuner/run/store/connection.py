"""The connection to a run's SQLite file: how it is opened and checked, and how changes are committed.

SQLite's errors are raised as the package's own. `store` knows what the tables hold.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.store.file import (
    SCHEMA_VERSION,
    create_store,
    explained,
    other_format,
    shares_memory,
    uses_log,
)


def _needs_writer(path: Path) -> bool:
    """Returns whether only a writer can read a store that is here from elsewhere: it has a log, which it then loses."""
    return uses_log(path) and not shares_memory(path.parent)


class StoreConnection:
    """An open SQLite file. Statements that change it are executed inside `transaction`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path, readonly: bool = False) -> StoreConnection:
        """Opens the file, creating it where it is absent and not `readonly`; see `Store.open` for the errors."""
        if readonly and not path.exists():
            cause = f"{path.name} is not there."
            raise UserError(f"There is no run in {path.parent}.", cause, "Start one with 'sit run'.")
        db = None
        try:
            if not path.exists():
                create_store(path)
            if path.is_file() and path.stat().st_size == 0:
                raise sqlite3.DatabaseError("the file is empty")
            mode = "ro" if readonly else "rw"
            if readonly and not os.access(path.parent, os.W_OK):
                mode += "&immutable=1"  # no place for the files that readers and writers share; nobody writes there
            target = f"{path.resolve().as_uri()}?mode={mode}"
            db = sqlite3.connect(target, isolation_level=None, uri=True, timeout=30, check_same_thread=False)
            connection = cls(path, db)
            connection._prepare(readonly)
        except BaseException as error:
            if db:
                db.close()
            if readonly and isinstance(error, sqlite3.OperationalError) and _needs_writer(path):
                cls.open(path).close()
                return cls.open(path, readonly=True)
            if isinstance(error, sqlite3.Error):
                raise explained(path, error) from None
            raise
        return connection

    def _prepare(self, readonly: bool) -> None:
        if not readonly:
            if shares_memory(self.path.parent):
                self._db.execute("PRAGMA journal_mode=WAL")
            else:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # reads a log that is there without sharing it
                self._db.execute("PRAGMA journal_mode=TRUNCATE")  # deleted ones would fill the bin of a drive
                self._db.execute("PRAGMA locking_mode=NORMAL")
            self._db.execute("PRAGMA synchronous=FULL")
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        found = self._db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if found is None:
            raise sqlite3.DatabaseError("its format is not named in it")
        if found[0] != str(SCHEMA_VERSION):
            raise other_format(self.path, found[0])

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def execute(self, query: str, values: Sequence[object] = ()) -> None:
        """Executes a statement."""
        self._db.execute(query, values)

    def execute_many(self, query: str, values: Iterable[Sequence[object]]) -> None:
        """Executes a statement once for each sequence of values."""
        self._db.executemany(query, values)

    def read(self, query: str, *values: object) -> list[Any]:
        """Returns the rows that a query selects."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explained(self.path, error) from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits everything that is executed inside it, or nothing if there is an error."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise explained(self.path, error) from None
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
