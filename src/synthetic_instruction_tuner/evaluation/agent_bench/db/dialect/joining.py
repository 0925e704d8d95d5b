"""GROUP_CONCAT, whose result MySQL cuts: what can never be seen is not kept."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import key, text
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import GROUP_CONCAT

_MOST_JOINED = 8_000_000  # characters in one GROUP_CONCAT, before it is cut
_PER_VALUE = 80  # what a value takes beside its characters


class Join:
    """GROUP_CONCAT: the values in order of their keys, or as they come; cut at MySQL's limit."""

    distinct = False

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._down, self._separator, self._sorted, self._length = False, ",", False, 0

    def step(self, value: Any, by: Any, down: Any, separator: Any) -> None:
        """Adds a value; what is behind the limit can never be seen."""
        self._down, self._separator = bool(down), text(separator)
        if value is not None and self._length <= _MOST_JOINED:
            self._sorted = self._sorted or by is not None
            shown = text(value)[:GROUP_CONCAT]
            order = key(text(by)[:GROUP_CONCAT]) if by is not None else ""
            self._length += len(shown) + len(order) + _PER_VALUE
            self._found.append((order, shown))

    def finalize(self) -> str | None:
        """Returns the values in one text; None of nothing."""
        if self._sorted:
            self._found.sort(key=lambda pair: pair[0], reverse=self._down)
        values = [value for _, value in self._found]
        if self.distinct:
            values = list({key(value): value for value in reversed(values)}.values())[::-1]
        return self._separator.join(values)[:GROUP_CONCAT] if values else None


class JoinDistinct(Join):
    """GROUP_CONCAT(DISTINCT ...)."""

    distinct = True
