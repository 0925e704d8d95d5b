"""Rules on size: nothing empty, responses neither too short nor too long.

A word is what stands between white space, so an unspaced Chinese or Japanese text counts as very few words.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..records import Record
from .verdict import Verdict


@dataclass(frozen=True)
class NotEmpty:
    """Instruction and response must hold more than white space."""

    name: str = "empty"

    def judge(self, record: Record) -> Verdict:
        """Measures which of the two is empty."""
        parts = (("instruction", record.instruction), ("response", record.response))
        empty = " and ".join(part for part, text in parts if not text or text.isspace())
        reason = f"the {empty} {'are' if ' and ' in empty else 'is'} empty" if empty else ""
        return Verdict(self.name, not empty, empty or None, None, reason)


@dataclass(frozen=True)
class ResponseLength:
    """The response must have between `shortest` and `longest` words, both included."""

    shortest: int
    longest: int
    name: str = "length"

    def judge(self, record: Record) -> Verdict:
        """Measures the response's words."""
        words = len(record.response.split())
        limit = f"{self.shortest}..{self.longest}"
        reason = ""
        if words < self.shortest:
            reason = f"the response has {words} words, fewer than {self.shortest}"
        elif words > self.longest:
            reason = f"the response has {words} words, more than {self.longest}"
        return Verdict(self.name, not reason, words, limit, reason)
