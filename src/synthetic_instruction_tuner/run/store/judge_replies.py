"""Keeps a judge's replies in a run's store: each is committed as it comes, so a kill costs nothing."""

from __future__ import annotations

from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Reply
from synthetic_instruction_tuner.run.store import Store


class JudgeReplies:
    """The replies of one judge; see `evaluation.benchmarks.mt_bench.judge.KeptReplies`.

    Args:
        store: the run's store.
        unit: names the judge and how it is asked.
    """

    def __init__(self, store: Store, unit: str) -> None:
        self._store, self._unit = store, unit
        self._kept = {row["key"]: Reply(row["reply"], row["cut"]) for row in store.rows(unit)}
        self._next = max(store.batch_numbers(unit), default=-1) + 1

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: str) -> Reply | None:
        """Returns the reply under a key."""
        return self._kept.get(key)

    def add(self, key: str, reply: Reply) -> None:
        """Commits a reply."""
        self._store.commit_batch(self._unit, self._next, [{"key": key, "reply": reply.text, "cut": reply.cut}])
        self._kept[key] = reply
        self._next += 1
