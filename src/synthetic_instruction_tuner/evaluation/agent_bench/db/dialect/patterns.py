"""LIKE and regular expressions, in a time that a pattern cannot blow up."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]  # no types come with it

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import letters, text
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.work import Work

_MATCH_SECONDS = 2.0  # for one regular expression
_LONGEST = 1_000_000  # characters that a replacement makes
_LONGEST_PATTERN = 10_000


def like(pattern: Any, value: Any, escape: Any = "\\") -> bool | None:
    """Returns LIKE: without case and accents."""
    return _like(pattern, value, text(escape), letters)


def like_binary(pattern: Any, value: Any) -> bool | None:
    """Returns LIKE BINARY: every character counts."""
    return _like(pattern, value, "\\", str)


def _like(pattern: Any, value: Any, escape: str, as_compared: Callable[[str], str]) -> bool | None:
    """Looks for the pieces between the % one after the other, each at its first place: nothing is tried twice."""
    if pattern is None or value is None:
        return None
    shown = as_compared(text(value))
    first, *more = _pieces(as_compared(text(pattern))[:_LONGEST_PATTERN], escape)
    if not more:
        return first.fullmatch(shown) is not None
    begin = first.match(shown)
    if begin is None:
        return False
    place = begin.end()
    for piece in more[:-1]:
        found = piece.search(shown, place)
        if found is None:
            return False
        place = found.end()
    last = more[-1]
    width = _width(last)
    return len(shown) - width >= place and last.fullmatch(shown, len(shown) - width) is not None


@lru_cache(maxsize=256)
def _pieces(pattern: str, escape: str) -> tuple[re.Pattern[str], ...]:
    """Returns a pattern's pieces between the %."""
    pieces: list[list[str]] = [[]]
    escaped = False
    for character in pattern:
        if not escaped and character == escape:
            escaped = True
        elif not escaped and character == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if character == "_" and not escaped else re.escape(character))
            escaped = False
    return tuple(re.compile("".join(f"(?:{one})" for one in piece), re.DOTALL) for piece in pieces)


def _width(piece: re.Pattern[str]) -> int:
    """Returns how many characters a piece stands for."""
    return piece.pattern.count("(?:")


class Expressions:
    """Regular expressions, which share the time of a statement.

    Args:
        work: the statement's.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def matches(self, pattern: Any, value: Any) -> bool | None:
        """Returns REGEXP."""
        if pattern is None or value is None:
            return None
        return regex.search(str(pattern), text(value), regex.IGNORECASE, timeout=self._seconds()) is not None

    def replaced(self, value: Any, pattern: Any, new: Any) -> str | None:
        """Returns REGEXP_REPLACE."""
        if None in (value, pattern, new):
            return None
        made = regex.sub(str(pattern), text(new), text(value), flags=regex.IGNORECASE, timeout=self._seconds())
        return str(made) if len(made) <= _LONGEST else None

    def found(self, value: Any, pattern: Any) -> str | None:
        """Returns REGEXP_SUBSTR."""
        if None in (value, pattern):
            return None
        place = regex.search(str(pattern), text(value), regex.IGNORECASE, timeout=self._seconds())
        return str(place[0]) if place else ""

    def _seconds(self) -> float:
        return max(0.01, min(_MATCH_SECONDS, self._work.seconds_left))
