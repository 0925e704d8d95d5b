"""Computes and stores the signals that rules decide on, so that no model is asked twice.

The signals of a rule are stored in batches under a name made from what they depend on: the rule's version and settings,
the records, and the size of the batches. After a changed limit all are found again; after a changed rule only that
rule's are computed. An interruption costs one batch. A batch with a failed request is not stored: the next call asks
again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from synthetic_instruction_tuner.config import fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.engines.base import failure_note
from synthetic_instruction_tuner.filtering.rule import Ask, ModelRule, Rule, TextRule
from synthetic_instruction_tuner.records import Record

BATCH = 4096  # records; for rules that need no model
Signals = Mapping[str, Sequence[Any]]
"""By rule name, its signals of the records, in the records' order."""


class SignalStore(Protocol):
    """Where signals are stored."""

    def load(self, name: str) -> dict[int, list[Any]]:
        """Returns the batches stored under a name, by number."""

    def save(self, name: str, number: int, signals: list[Any]) -> None:
        """Stores a batch."""


class Progress(Protocol):
    """Shows progress; a run's display implements it."""

    def say(self, text: str) -> None:
        """Prints a line."""

    def task(self, label: str, total: int, unit: str) -> AbstractContextManager[Callable[..., None]]:
        """Shows a task, of unknown size where `total` is 0; the block gets a function that counts finished units."""


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Ignores the line."""

    def task(self, label: str, total: int, unit: str) -> AbstractContextManager[Callable[..., None]]:
        """Returns a function that does nothing."""
        return nullcontext(lambda *_: None)


class SignalFolder:
    """A store that writes each batch to a JSON file of its own.

    Attributes:
        folder: the folder; it is created when needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str) -> dict[int, list[Any]]:
        """Returns the batches stored under a name, by number."""
        files = sorted(self.folder.glob(f"{name}-*.json"))
        return {int(file.stem.rpartition("-")[2]): json.loads(file.read_text(encoding="utf-8")) for file in files}

    def save(self, name: str, number: int, signals: list[Any]) -> None:
        """Stores a batch; raises RunError where the disk is full."""
        write_text(self.folder / f"{name}-{number:06d}.json", json.dumps(signals))


def compute_signals(
    rules: Sequence[Rule],
    records: Sequence[Record],
    store: SignalStore | None = None,
    digest: str = "",
    progress: Progress | None = None,
) -> Signals:
    """Returns the signals of the records by rule, computing those that the store lacks.

    Args:
        rules: the rules.
        records: the records.
        store: where signals are stored; they are not stored when None.
        digest: a hash of the records, for the names in the store.
        progress: shows a task per rule.
    """
    signals = {}
    for rule in rules:
        size = rule.batch if isinstance(rule, ModelRule) else BATCH
        name = f"{rule.name}-{fingerprint(rule.name, rule.version, rule.basis(), digest, size)}"
        batches = list(enumerate(records[i : i + size] for i in range(0, len(records), size)))
        found = store.load(name) if store else {}
        missing = [(number, batch) for number, batch in batches if number not in found]
        for number, values in _computed(rule, missing, progress or Silent()) if missing else ():
            found[number] = values
            if store and not any(map(_error, values)):
                store.save(name, number, values)
        signals[rule.name] = [value for number, _ in batches for value in found[number]]
    return signals


def records_digest(records: Sequence[Record]) -> str:
    """Returns a hash of the records, in order."""
    whole = sha256()
    for record in records:
        whole.update(json.dumps(record.to_json(), sort_keys=True).encode())
    return whole.hexdigest()


def failed_requests(signals: Signals) -> str:
    """Returns how many requests to a rule's model failed, and why; empty where none did."""
    errors = Counter(error for values in signals.values() for value in values if (error := _error(value)))
    return failure_note(errors, "request for tags" if errors.total() == 1 else "requests for tags")


def _error(signal: Any) -> str:
    return str(signal.get("error", "")) if isinstance(signal, dict) else ""


def _computed(
    rule: Rule, batches: list[tuple[int, Sequence[Record]]], progress: Progress
) -> Iterator[tuple[int, list[Any]]]:
    count = sum(len(batch) for _, batch in batches)
    label = f"checking: {rule.name.replace('_', ' ')}"
    with progress.task(label, count, "records") as advance, _opened(rule) as ask:
        for number, batch in batches:
            yield number, ask(batch, advance)


@contextmanager
def _opened(rule: Rule) -> Iterator[Ask]:
    if isinstance(rule, ModelRule):
        with rule.open() as ask:
            yield ask
        return
    assert isinstance(rule, TextRule)
    text_rule = rule

    def own(records: Sequence[Record], done: Callable[[int], None]) -> list[Any]:
        values = [text_rule.signal(record) for record in records]
        done(len(records))
        return values

    yield own
