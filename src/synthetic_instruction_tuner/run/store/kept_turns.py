"""What agents have said so far in conversations that go on, kept until the whole benchmark is committed.

A round is committed whole: the turns that were taken in it, and the results of the tasks that ended. A run that is
killed goes on with the next round, and no task is played or scored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthetic_instruction_tuner.run.store.store import Row, Store

Commit = Callable[[str, int, Sequence[Row]], None]


class KeptTurns:
    """The turns of one variant on one benchmark.

    Args:
        store: the run's store.
        unit: names the variant's conversations by all that they depend on.
        commit: commits a batch of a unit.

    Attributes:
        turns: by task, what the agent has said.
        results: by task, the results of those that have ended, as they were added.
    """

    def __init__(self, store: Store, unit: str, commit: Commit) -> None:
        self._store, self._unit, self._commit = store, f"{unit}:kept", commit
        self._next = max(store.batch_numbers(self._unit), default=-1) + 1
        self.turns: dict[str, list[str]] = {}
        self.results: dict[str, Row] = {}
        for row in store.rows(self._unit):
            self._note(row)

    def add(self, turns: Mapping[str, Sequence[str]], results: Mapping[str, Mapping[str, Any]]) -> None:
        """Commits a round.

        Args:
            turns: by task, all that the agent has said; what is new of it is kept.
            results: by task, the results of those that have ended in it.
        """
        rows: list[Row] = []
        for task, said in turns.items():
            rows += [{"task": task, "turn": text} for text in said[len(self.turns.get(task, ())) :]]
        rows += [{"task": task, "result": dict(result)} for task, result in results.items()]
        if rows:
            self._commit(self._unit, self._next, rows)
            self._next += 1
        for row in rows:
            self._note(row)

    def forget(self) -> None:
        """Forgets all: the benchmark is committed."""
        self._store.drop_unit(self._unit)
        self.turns, self.results = {}, {}

    def _note(self, row: Row) -> None:
        if "result" in row:
            self.results[row["task"]] = row["result"]
        else:
            self.turns.setdefault(row["task"], []).append(row["turn"])
