"""What a rule is, what it says about a record, and what all rules together say.

A rule works in two steps. It *measures* a record, which may take long (a language model's word on it), and it *decides*
on what it measured, which takes no time. Measurements can be stored, so that a changed limit only decides again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from synthetic_instruction_tuner.records import Record


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's word on one record.

    Attributes:
        rule: the rule's name.
        passed: whether the record may stay, as far as this rule goes.
        measured: what the rule measured; None where there was nothing to measure.
        limit: what it was held against.
        reason: why it must go, for people; empty when it passed.
        partner: the kept record that it duplicates, or the benchmark item that it holds, if that is the reason.
        details: everything that was found, where there is more than a verdict shows, as plain JSON values.
    """

    rule: str
    passed: bool
    measured: float | str | None
    limit: float | str | None
    reason: str = ""
    partner: str | None = None
    details: list[Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which ``Verdict(**data)`` makes an equal verdict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every rule's verdict on one record, in the rules' order; none is skipped because an earlier one failed.

    Attributes:
        columns: what rules have to say about a record beside their verdict, such as its tags, by name.
    """

    record_id: str
    verdicts: tuple[Verdict, ...]
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether every rule lets the record stay."""
        return all(v.passed for v in self.verdicts)

    @property
    def first_failure(self) -> Verdict | None:
        """The first rule's verdict against the record."""
        return next((v for v in self.verdicts if not v.passed), None)

    @property
    def first_reason(self) -> str | None:
        """The first rule's reason against the record."""
        failure = self.first_failure
        return failure.reason if failure else None


class Rule(ABC):
    """A rule that judges a record by itself, without looking at others, by what was measured on it.

    A `TextRule` measures on its own; what other rules decide on is a model's word (see `stages.measuring`).

    Attributes:
        name: the rule's name in reports.
        version: raised when the code measures something else than before.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    def basis(self) -> dict[str, Any]:
        """Returns the settings, as plain JSON values, that a measurement depends on beside the record."""
        return {}

    def limits(self) -> dict[str, Any]:
        """Returns the settings, as plain JSON values, that only decide on what was measured."""
        return {}

    @abstractmethod
    def decide(self, measured: Any) -> Verdict:
        """Returns the verdict on a measurement."""

    def columns(self, measured: Any) -> dict[str, Any]:
        """Returns what a measurement says beside the verdict, as columns of the data that goes out."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Returns all that the rule's verdicts depend on beside the records."""
        return {"version": self.version} | self.basis() | self.limits()


class TextRule(Rule):
    """A rule that needs nothing but the record's texts."""

    @abstractmethod
    def measure(self, record: Record) -> Any:
        """Returns what there is to decide on, as a plain JSON value; must not raise, whatever the texts are."""

    def judge(self, record: Record) -> Verdict:
        """Returns the verdict on a record."""
        return self.decide(self.measure(record))


def shorten(text: str, width: int = 60) -> str:
    """Returns the text's start on one line, without control characters or lone surrogates."""
    line = " ".join(text[: 4 * width].split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    whole = len(line) <= width and len(text) <= 4 * width
    return line if whole else line[: width - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
