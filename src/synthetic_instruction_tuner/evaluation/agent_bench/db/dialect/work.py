"""How much the functions of one statement may do: SQLite counts a call as one step, however long its texts are."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import Any

MOST = 100_000_000  # characters that the functions of a statement read and write
SECONDS = 30.0  # of processor time, for what is not counted
_CALL = 20  # what a call costs beside its texts, in characters


class TooMuchWork(Exception):
    """The functions of a statement have done all that they may."""


class Work:
    """What is left to do for a statement."""

    def __init__(self) -> None:
        self._left, self._began = MOST, thread_time()

    def renew(self) -> None:
        """Begins a statement."""
        self._left, self._began = MOST, thread_time()

    @property
    def seconds_left(self) -> float:
        """Processor time that is left."""
        return SECONDS - (thread_time() - self._began)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self._left < 0 or self.seconds_left <= 0

    def spend(self, amount: int) -> None:
        """Counts work.

        Raises:
            TooMuchWork: there is none left.
        """
        self._left -= amount
        if self._left < 0:
            raise TooMuchWork

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function whose work is counted."""

        def run(*arguments: Any) -> Any:
            self.spend(_CALL + _length(arguments))
            result = function(*arguments)
            self.spend(_length((result,)))
            return result

        return run


def _length(values: tuple[Any, ...]) -> int:
    return sum(len(value) for value in values if isinstance(value, (str, bytes)))
