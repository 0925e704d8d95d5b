"""The run's memory: one SQLite file in which every batch of work is committed whole.

A *unit* is a resumable piece of work (one stage, or one model's part of it), named by a text that includes its key. It
consists of numbered batches, a batch of rows. A committed batch is never computed again; its digest shows whether it
has been altered. Work under an old key is kept, so that going back to an earlier setting finds it.

The SQL of the batches, stages and facts is here. `connection` opens, checks and commits; `file` has the tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.run.store.connection import StoreConnection
from synthetic_instruction_tuner.run.store.file import damaged

Row = dict[str, Any]
Status = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class StageState:
    """What the store knows about a stage.

    Attributes:
        key: hash of settings, code version and inputs that the work belongs to.
        seconds: time spent over all attempts under this key.
        digest: hash of the stage's output; None until it is done.
        part: the settings that the key was made from, to say what changed.
    """

    name: str
    key: str
    status: Status
    seconds: float
    peak_memory_gb: float | None
    rows_in: int | None
    rows_out: int | None
    digest: str | None
    note: str
    part: dict[str, Any]

    def to_json(self) -> dict[str, object]:
        """Returns what `sit status --json` shows, as plain JSON values."""
        return {
            "stage": self.name,
            "status": self.status,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "seconds": round(self.seconds, 2),
            "peak_memory_gb": self.peak_memory_gb,
            "note": self.note,
        }


class Store:
    """A run's SQLite file. Open it with `Store.open`; one writer, any number of readers."""

    def __init__(self, path: Path, connection: StoreConnection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path, readonly: bool = False) -> Store:
        """Opens or creates the store.

        Raises:
            RunError: the file is damaged.
            UserError: it was written by another version, or is absent and `readonly`.
        """
        return cls(path, StoreConnection.open(path, readonly))

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    # Batches

    def commit_batch(self, unit: str, number: int, rows: Sequence[Row], seconds: float = 0.0) -> None:
        """Commits one batch whole. Committing the same number twice is an error in the caller."""
        payloads = [_canonical(row) for row in rows]
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?)", (unit, number, len(rows), _digest(payloads), seconds)
            )
            self._db.execute_many(
                "INSERT INTO rows VALUES (?, ?, ?, ?)", ((unit, number, i, p) for i, p in enumerate(payloads))
            )

    def batch_numbers(self, unit: str) -> set[int]:
        """Returns the numbers of the unit's committed batches."""
        return {n for (n,) in self._db.read("SELECT number FROM batches WHERE unit = ?", unit)}

    def batch_sizes(self, unit: str) -> dict[int, int]:
        """Returns the number of rows of each committed batch."""
        return dict(self._db.read("SELECT number, rows FROM batches WHERE unit = ?", unit))

    def batch_rows(self, unit: str, number: int) -> list[Row]:
        """Returns one batch's rows in order.

        Raises:
            RunError: the batch is not there, or not what was committed.
        """
        found = self._db.read("SELECT digest FROM batches WHERE unit = ? AND number = ?", unit, number)
        payloads = self._payloads(unit, number)
        if not found or _digest(payloads) != found[0][0]:
            raise damaged(self.path, f"batch {number} of {unit} is not what was written")
        return [json.loads(payload) for payload in payloads]

    def adopt_batch(self, source: str, unit: str, number: int) -> None:
        """Commits another unit's batch, as it is, as this unit's batch of the same number."""
        with self._db.transaction():
            for table, columns in (("batches", "number, rows, digest, seconds"), ("rows", "batch, position, payload")):
                place = columns.partition(",")[0]
                query = f"INSERT INTO {table} SELECT ?, {columns} FROM {table} WHERE unit = ? AND {place} = ?"
                self._db.execute(query, (unit, source, number))

    def row_count(self, unit: str) -> int:
        """Returns how many rows the unit has."""
        return int(self._db.read("SELECT coalesce(sum(rows), 0) FROM batches WHERE unit = ?", unit)[0][0])

    def rows(self, unit: str) -> Iterator[Row]:
        """Yields the unit's rows in order, batch by batch.

        Raises:
            RunError: a batch is not what was committed.
        """
        for number, digest in self._db.read("SELECT number, digest FROM batches WHERE unit = ? ORDER BY number", unit):
            payloads = self._payloads(unit, number)
            if _digest(payloads) != digest:
                raise damaged(self.path, f"batch {number} of {unit} is not what was written")
            for payload in payloads:
                yield json.loads(payload)

    def unit_digest(self, unit: str) -> str:
        """Returns a hash of the unit's rows, whatever the batches they came in."""
        whole = hashlib.sha256()
        for row in self.rows(unit):
            whole.update(_canonical(row).encode("utf-8", "surrogatepass") + b"\n")
        return whole.hexdigest()

    def drop_unit(self, unit: str) -> None:
        """Forgets the unit's batches."""
        with self._db.transaction():
            self._db.execute("DELETE FROM rows WHERE unit = ?", (unit,))
            self._db.execute("DELETE FROM batches WHERE unit = ?", (unit,))

    def drop_damaged(self) -> list[str]:
        """Forgets the batches that are not what was committed; returns their names."""
        bad = [
            (unit, number)
            for unit, number, digest in self._db.read("SELECT unit, number, digest FROM batches")
            if not self._is_whole(unit, number, digest)
        ]
        # Rows whose batch is not listed would collide with the batch when it is computed again.
        loose = "SELECT unit, batch FROM rows EXCEPT SELECT unit, number FROM batches"
        bad += self._db.read(loose)
        for unit, number in bad:
            with self._db.transaction():
                self._db.execute("DELETE FROM rows WHERE unit = ? AND batch = ?", (unit, number))
                self._db.execute("DELETE FROM batches WHERE unit = ? AND number = ?", (unit, number))
        return [f"{unit} batch {number}" for unit, number in bad] + self._drop_unreadable()

    def _drop_unreadable(self) -> list[str]:
        """Forgets stage states and facts that cannot be read; a stage without a state goes on from its batches."""
        dropped = []
        for table, read in (("stages", self.stage), ("facts", self.fact)):
            for (name,) in self._db.read(f"SELECT name FROM {table}"):
                try:
                    read(name)
                except RunError:
                    with self._db.transaction():
                        self._db.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
                    dropped.append(f"{table.removesuffix('s')} {name}")
        return dropped

    def _is_whole(self, unit: str, number: int, digest: str) -> bool:
        try:
            return _digest(self._payloads(unit, number)) == digest
        except RunError:  # not even text
            return False

    def _payloads(self, unit: str, number: int) -> list[str]:
        query = "SELECT payload FROM rows WHERE unit = ? AND batch = ? ORDER BY position"
        payloads = [payload for (payload,) in self._db.read(query, unit, number)]
        if not all(isinstance(payload, str) for payload in payloads):
            raise damaged(self.path, f"batch {number} of {unit} holds something else than text")
        return payloads

    # Stages

    def stage(self, name: str) -> StageState | None:
        """Returns what is known about the stage, or None when it never started."""
        for row in self._db.read("SELECT * FROM stages WHERE name = ?", name):
            try:
                return _stage_state(row)
            except (ValueError, TypeError) as error:
                raise damaged(self.path, f"What it says of stage {name} cannot be read: {error}.") from error
        return None

    def begin_stage(self, name: str, key: str, part: dict[str, Any]) -> None:
        """Marks the stage as running under the key; time spent under the same key is kept."""
        with self._db.transaction():
            self._db.execute(
                """INSERT INTO stages (name, key, status, seconds, part) VALUES (?1, ?2, 'running', 0, ?3)
                ON CONFLICT (name) DO UPDATE SET seconds = CASE key WHEN ?2 THEN seconds ELSE 0 END,
                    peak_memory_gb = CASE key WHEN ?2 THEN peak_memory_gb END,
                    key = ?2, status = 'running', note = '', digest = NULL, part = ?3""",
                (name, key, _canonical(part)),
            )

    def add_time(self, name: str, seconds: float, peak_memory_gb: float | None = None) -> None:
        """Adds to the stage's time, so that a killed attempt's work is counted too."""
        with self._db.transaction():
            self._db.execute(
                """UPDATE stages SET seconds = seconds + ?2,
                peak_memory_gb = max(coalesce(peak_memory_gb, 0), coalesce(?3, 0)) WHERE name = ?1""",
                (name, seconds, peak_memory_gb),
            )

    def set_time(self, name: str, seconds: float, peak_memory_gb: float | None) -> None:
        """Replaces the stage's time and memory."""
        with self._db.transaction():
            query = "UPDATE stages SET seconds = ?2, peak_memory_gb = ?3 WHERE name = ?1"
            self._db.execute(query, (name, seconds, peak_memory_gb))

    def finish_stage(self, name: str, digest: str, rows_in: int | None, rows_out: int | None, note: str) -> None:
        """Marks the stage as done."""
        with self._db.transaction():
            self._db.execute(
                """UPDATE stages SET status = 'done', digest = ?2, rows_in = ?3, rows_out = ?4, note = ?5
                WHERE name = ?1""",
                (name, digest, rows_in, rows_out, note),
            )

    def fail_stage(self, name: str, note: str) -> None:
        """Marks the stage as failed, with the reason."""
        with self._db.transaction():
            self._db.execute("UPDATE stages SET status = 'failed', note = ?2 WHERE name = ?1", (name, note))

    def forget_stage(self, name: str) -> None:
        """Makes the stage run again from its beginning; its batches must be dropped by the caller."""
        with self._db.transaction():
            self._db.execute("DELETE FROM stages WHERE name = ?", (name,))

    def drop_units(self, prefix: str) -> None:
        """Forgets every unit whose name starts with the prefix."""
        for (unit,) in self._db.read("SELECT DISTINCT unit FROM batches"):
            if unit.startswith(prefix):
                self.drop_unit(unit)

    # Facts

    def set_fact(self, name: str, value: object) -> None:
        """Keeps a JSON value under the name, replacing an earlier one."""
        with self._db.transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, _canonical(value)))

    def fact(self, name: str) -> Any:
        """Returns the value kept under the name, or None."""
        found = self._db.read("SELECT value FROM facts WHERE name = ?", name)
        try:
            return json.loads(found[0][0]) if found else None
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged(self.path, f"The fact {name} cannot be read: {error}.") from error


def _stage_state(row: Sequence[Any]) -> StageState:
    """Returns a row of the table as a state; raises ValueError where a column holds something else."""
    name, key, status, seconds, memory, rows_in, rows_out, digest, note, part = row
    numbers = [seconds, *(number for number in (memory, rows_in, rows_out) if number is not None)]
    texts = [name, key, status, note, *([] if digest is None else [digest])]
    if not all(isinstance(n, int | float) for n in numbers) or not all(isinstance(t, str) for t in texts):
        raise ValueError("a column has a value of another kind")
    settings = json.loads(part)
    if not isinstance(settings, dict):
        raise ValueError("its settings are no mapping")
    return StageState(name, key, status, seconds, memory, rows_in, rows_out, digest, note, settings)


def _canonical(value: object) -> str:
    # Lone surrogates cannot be stored as UTF-8: ASCII escapes keep them.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _digest(payloads: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(payloads).encode()).hexdigest()
