"""A goal: what an instruction asks for, in words that can be read back, with its solutions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Goal:
    """One thing that can be asked for.

    Attributes:
        texts: wordings with ``{slot}`` places.
        solutions: solutions with the same places, the preferred one first.
        note: the content for a plain document, without any request.
        patterns: regular expression of each slot (no capturing groups).
    """

    texts: tuple[str, ...]
    solutions: tuple[str, ...]
    note: str
    patterns: dict[str, str] = field(default_factory=dict)

    @cached_property
    def compiled(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        """The literal beginning and the pattern of each wording."""
        return tuple((text.split("{")[0], re.compile(self._pattern(text))) for text in self.texts)

    def _pattern(self, text: str) -> str:
        seen: set[str] = set()
        parts = []
        for i, piece in enumerate(_SLOT.split(text)):
            if i % 2 == 0:
                parts.append(re.escape(piece))
            elif piece in seen:
                parts.append(f"(?P={piece})")
            else:
                seen.add(piece)
                parts.append(f"(?P<{piece}>{self.patterns.get(piece, '[A-Za-z0-9]+')})")
        return "".join(parts)


@lru_cache(maxsize=65_536)
def read(goals: Sequence[Goal], text: str) -> tuple[int, dict[str, str]] | None:
    """Returns the index of the goal that a text expresses, and its slots, or None."""
    for index, goal in enumerate(goals):
        for beginning, pattern in goal.compiled:
            if text.startswith(beginning) and (match := pattern.fullmatch(text)):
                return index, match.groupdict()
    return None
