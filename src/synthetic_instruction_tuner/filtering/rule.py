"""What a filter rule is, its verdict on a record, and the result of all rules together.

A rule works in two steps. It computes a *signal* of a record, which may take long (a language model's answer), and it
*decides* on the signal, which takes no time. Signals can be stored, so that a changed limit only decides again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import Record


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's verdict on one record.

    Attributes:
        rule: the rule's name.
        passed: whether the record may stay, as far as this rule is concerned.
        value: what the rule found, in brief; None where it found nothing.
        limit: what the value was compared with.
        reason: why the record must go, for people; empty when it passed.
        matched: the kept record that it duplicates, or the benchmark item that it contains, if that is the reason.
        details: all findings, where there are more than the verdict shows, as plain JSON values.
    """

    rule: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    reason: str = ""
    matched: str | None = None
    details: list[Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which ``Verdict(**data)`` makes an equal verdict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FilterResult:
    """All rules' verdicts on one record, in the rules' order; none is skipped because an earlier one failed.

    Attributes:
        record_id: the record.
        verdicts: one per rule.
        columns: what rules say about a record besides their verdict, such as its tags, by name.
    """

    record_id: str
    verdicts: tuple[Verdict, ...]
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the record passed every rule."""
        return all(v.passed for v in self.verdicts)

    @property
    def first_failure(self) -> Verdict | None:
        """The first verdict against the record."""
        return next((v for v in self.verdicts if not v.passed), None)

    @property
    def first_reason(self) -> str | None:
        """The first reason against the record."""
        failure = self.first_failure
        return failure.reason if failure else None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return {"record_id": self.record_id, "verdicts": [v.to_json() for v in self.verdicts], "columns": self.columns}


class Rule(ABC):
    """A rule that looks at one record at a time; it is a `TextRule` or a `ModelRule`.

    Attributes:
        name: the rule's name in reports.
        version: raised when the code computes other signals than before.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    def basis(self) -> dict[str, Any]:
        """Returns the settings, as plain JSON values, that a signal depends on besides the record."""
        return {}

    def limits(self) -> dict[str, Any]:
        """Returns the settings, as plain JSON values, that only the decision depends on."""
        return {}

    @abstractmethod
    def decide(self, signal: Any) -> Verdict:
        """Returns the verdict on a signal."""

    def columns(self, signal: Any) -> dict[str, Any]:
        """Returns what a signal says besides the verdict, as columns of the filtered data."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Returns everything that the rule's verdicts depend on besides the records."""
        return {"version": self.version} | self.basis() | self.limits()


class TextRule(Rule):
    """A rule that needs nothing but the record's texts."""

    @abstractmethod
    def signal(self, record: Record) -> Any:
        """Returns what the rule decides on, as a plain JSON value; must not raise, whatever the texts are."""

    def check(self, record: Record) -> Verdict:
        """Returns the verdict on a record."""
        return self.decide(self.signal(record))


Ask = Callable[[Sequence[Record], Callable[[int], None]], list[Any]]
"""Returns the signals of some records, None or an ``error`` where the model gave none; calls back with their number."""


class ModelRule(Rule):
    """A rule whose signals come from a model.

    Asking takes long, so `signals.compute_signals` does it for many records at a time and can store the answers.
    """

    @property
    @abstractmethod
    def batch(self) -> int:
        """The number of records whose signals are stored together."""

    @abstractmethod
    def open(self) -> AbstractContextManager[Ask]:
        """Loads the model, which is released when the block ends."""


def model_identity(model: ModelConfig) -> dict[str, Any]:
    """Returns what identifies a model, the same on every machine: without the path of a local folder."""
    facts = identity(model)
    return {k: v for k, v in facts.items() if k != "path"} if facts["content"] else facts


def shorten(text: str, width: int = 60) -> str:
    """Returns the text's start on one line, without control characters or lone surrogates."""
    line = " ".join(text[: 4 * width].split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    whole = len(line) <= width and len(text) <= 4 * width
    return line if whole else line[: width - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
