"""Rules on length: no empty text, no response that is too short or too long, in words or in tokens.

Words are counted by `words.count_words`: what stands between white space, and an estimate where words have no spaces
between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import count_words

_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class NotEmpty(TextRule):
    """The instruction must contain a word (not only symbols), the response more than white space."""

    name: ClassVar[str] = "empty"

    def signal(self, record: Record) -> str:
        """Returns which of the two is empty, in words."""
        asked = _WORD.search(record.instruction or "")
        empty = {"instruction": not asked, "response": not (record.response or "").strip()}
        return " and ".join(part for part, is_empty in empty.items() if is_empty)

    def decide(self, signal: str) -> Verdict:
        """Drops records with an empty part."""
        reason = f"no words in the {signal}" if signal else ""
        return Verdict(self.name, not signal, signal or None, None, reason)


@dataclass(frozen=True)
class ResponseLength(TextRule):
    """The response must have between `shortest` and `longest` words, both included."""

    shortest: int
    longest: int
    name: ClassVar[str] = "length"
    version: ClassVar[int] = 2

    def limits(self) -> dict[str, Any]:
        """Returns the two limits."""
        return {"min_words": self.shortest, "max_words": self.longest}

    def signal(self, record: Record) -> int:
        """Returns the number of words in the response."""
        return count_words(record.response)

    def decide(self, signal: int) -> Verdict:
        """Compares the number of words with the limits."""
        return _between(self.name, signal, self.shortest, self.longest, "word")


@dataclass(frozen=True)
class TokenLength(TextRule):
    """The response must have between `shortest` and `longest` tokens, both included.

    Attributes:
        count: returns the number of tokens in a text, without special tokens.
        tokenizer: the tokenizer's identity, as plain JSON values.
        shortest: the lower limit.
        longest: the upper limit; no limit when None.
    """

    count: Callable[[str], int]
    tokenizer: dict[str, Any]
    shortest: int
    longest: int | None
    name: ClassVar[str] = "tokens"

    def basis(self) -> dict[str, Any]:
        """Returns which tokenizer is used."""
        return {"tokenizer": self.tokenizer}

    def limits(self) -> dict[str, Any]:
        """Returns the two limits."""
        return {"min_tokens": self.shortest, "max_tokens": self.longest}

    def signal(self, record: Record) -> int:
        """Returns the number of tokens in the response."""
        return self.count(record.response.encode("utf-8", "replace").decode())

    def decide(self, signal: int) -> Verdict:
        """Compares the number of tokens with the limits."""
        return _between(self.name, signal, self.shortest, self.longest, "token")


def _between(rule: str, count: int, shortest: int, longest: int | None, unit: str) -> Verdict:
    limit = f"{shortest}..{'' if longest is None else longest}"
    has, reason = f"the response has {count} {unit}{'' if count == 1 else 's'}", ""
    if count < shortest:
        reason = f"{has}, fewer than {shortest}"
    elif longest is not None and count > longest:
        reason = f"{has}, more than {longest}"
    return Verdict(rule, not reason, count, limit, reason)
