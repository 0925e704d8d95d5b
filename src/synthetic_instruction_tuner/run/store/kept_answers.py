"""What a model has answered of a benchmark so far, kept until the benchmark is committed as a whole.

A benchmark takes minutes to hours. A run that is killed between two items goes on with the next one: an answer depends
on its request and on what the unit's name says of model, adapter, template, data, precision and settings.
"""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.run.store.store import Store


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
        self._new: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str) -> Any:
        """Returns an answer, or None."""
        return self._kept.get(key)

    def add(self, key: str, value: Any) -> None:
        """Takes an answer, as plain JSON values, and commits when there are enough."""
        self._kept[key] = self._new[key] = value
        if len(self._new) >= self._every:
            self.save()

    def save(self) -> None:
        """Commits what was added since the last time."""
        if self._new:
            number = max(self._store.batch_numbers(self._unit), default=-1) + 1
            self._store.commit_batch(self._unit, number, [{"key": k, "value": v} for k, v in self._new.items()])
            self._new = {}

    def forget(self) -> None:
        """Forgets all: the benchmark is committed."""
        self._store.drop_unit(self._unit)
        self._kept, self._new = {}, {}
