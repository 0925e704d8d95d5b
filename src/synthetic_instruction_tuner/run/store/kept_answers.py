"""What a model has answered of a benchmark so far, kept until the benchmark is committed as a whole.

A benchmark takes minutes to hours. A run that is killed between two items goes on with the next one: an answer depends
on its request and on what the unit's name says of model, adapter, template, data, precision and settings.
"""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.run.store.store import Row, Store


class KeptAnswers:
    """Answers by a hash of what was asked.

    Args:
        store: the run's store.
        unit: names the variant's answers to the benchmark, by all that they depend on.
        every: so many answers are committed together.
    """

    def __init__(self, store: Store, unit: str, every: int = 16) -> None:
        self._store, self._unit, self._every = store, f"{unit}:kept", every
        self._kept: dict[str, Any] = {row["key"]: row["value"] for row in store.rows(self._unit)}
        self._new: dict[str, tuple[Any, int]] = {}
        self._stored = bool(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str) -> Any:
        """Returns an answer, or None."""
        return self._kept.get(key)

    def add(self, key: str, value: Any, count: int = 1) -> None:
        """Takes an answer, as plain JSON values, or `count` of them, and commits when there are enough."""
        self._kept[key], self._new[key] = value, (value, count)
        if len(self._new) >= self._every:
            self.save()

    def save(self) -> None:
        """Commits what was added since the last time."""
        if self._new:
            number = max(self._store.batch_numbers(self._unit), default=-1) + 1
            rows: list[Row] = [{"key": key, "value": value, "n": n} for key, (value, n) in self._new.items()]
            self._store.commit_batch(self._unit, number, rows)
            self._new, self._stored = {}, True

    def forget(self) -> None:
        """Forgets all: the benchmark is committed."""
        if self._stored:
            self._store.drop_unit(self._unit)
        self._kept, self._new, self._stored = {}, {}, False


def kept_count(store: Store, unit: str) -> int:
    """Returns how many answers to a benchmark are kept that is not committed yet.

    Args:
        store: the run's store.
        unit: as in `KeptAnswers`.
    """
    return sum(row.get("n", 1) for row in store.rows(f"{unit}:kept"))
