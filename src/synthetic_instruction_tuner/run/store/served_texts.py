"""A server's finished texts, kept in the store from when the server is away until their batch is committed.

A batch is committed whole, so without this the texts of an unfinished one would be lost with the process. A text
depends on its request and the model alone: a batch with kept texts equals one that was written without a break.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import astuple

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, fingerprint
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.run.store import Row, Store


class ServedTexts:
    """The finished texts of one model on a server; see `engines.server.engine.FinishedTexts`.

    Args:
        store: the run's store.
        stage: the stage that asks; its texts go when the stage runs again from its beginning.
        model, engine: what writes.
    """

    def __init__(self, store: Store, stage: str, model: ModelConfig, engine: EngineConfig) -> None:
        self._store = store
        self._unit = f"{stage}:served:{fingerprint(identity(model), model.served_as, engine.key_part())}"
        self._kept = {row["request"]: _completion(row) for row in store.rows(self._unit)}
        self._new: dict[str, Completion] = {}
        self._stored = bool(self._kept)

    def find(self, request: Request) -> Completion | None:
        """Returns the text of a request, if it is finished."""
        return self._kept.get(_key(request))

    def add(self, request: Request, completion: Completion) -> None:
        """Takes a finished text."""
        self._kept[_key(request)] = self._new[_key(request)] = completion

    def save(self) -> None:
        """Stores what was added since the last time."""
        if self._new:
            rows: list[Row] = [
                {"request": key, "token_ids": list(done.token_ids), "finish": done.finish_reason}
                for key, done in self._new.items()
            ]
            number = max(self._store.batch_numbers(self._unit), default=-1) + 1
            self._store.commit_batch(self._unit, number, rows)
            self._new, self._stored = {}, True

    def save_if_possible(self) -> None:
        """Stores what was added, where another error is already on its way."""
        with contextlib.suppress(SitError):
            self.save()

    def forget(self) -> None:
        """Forgets all: the batch that they belong to is committed."""
        if self._stored:
            self._store.drop_unit(self._unit)
        self._kept, self._new, self._stored = {}, {}, False


def _key(request: Request) -> str:
    return hashlib.blake2b(repr(astuple(request)).encode(), digest_size=16).hexdigest()


def _completion(row: Row) -> Completion:
    return Completion(tuple(row["token_ids"]), row["finish"])
