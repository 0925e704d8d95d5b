"""What a rule says about a record, and what all rules together say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ..records import Record


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's word on one record.

    Attributes:
        rule: the rule's name.
        passed: whether the record may stay, as far as this rule goes.
        measured: what the rule measured; None where there was nothing to measure.
        limit: what it was held against.
        reason: why it must go, for people; empty when it passed.
        partner: the kept record that it duplicates, if that is the reason.
    """

    rule: str
    passed: bool
    measured: float | str | None
    limit: float | str | None
    reason: str = ""
    partner: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which ``Verdict(**data)`` makes an equal verdict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every rule's verdict on one record, in the rules' order; none is skipped because an earlier one failed."""

    record_id: str
    verdicts: tuple[Verdict, ...]

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


class Rule(Protocol):
    """A rule that judges a record by itself, without looking at others."""

    @property
    def name(self) -> str:
        """The rule's name in reports."""

    def judge(self, record: Record) -> Verdict:
        """Returns the verdict; must not raise, whatever the texts are."""


def shorten(text: str, width: int = 60) -> str:
    """Returns the text's start on one line, without control characters or lone surrogates."""
    line = " ".join(text[: 4 * width].split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    whole = len(line) <= width and len(text) <= 4 * width
    return line if whole else line[: width - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
