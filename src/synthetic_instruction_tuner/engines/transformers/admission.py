"""How many waiting texts may begin, so that all find their pages while they grow.

How long a text becomes is not known. What is known is its limit, and how many tokens it took so far until a text
stopped. The pages that the running texts will fill are expected from both, for all steps to come, and a text may begin
where the most of them fits. It may still come otherwise; then the newest texts wait, which costs reading them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_POINTS = 32  # places on the way to the longest text's end that are looked at
_DEVIATIONS = 2  # standard deviations above the mean that must fit


@dataclass(frozen=True, slots=True)
class Growing:
    """Texts that grow.

    Attributes:
        lengths: cached positions of each; [texts].
        left: the most tokens that each may still get; [texts].
    """

    lengths: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[tuple[int, int]]) -> Growing:
        """Returns texts from pairs of lengths and tokens left."""
        both = np.array(texts, dtype=np.int64).reshape(-1, 2)
        return cls(both[:, 0], both[:, 1])


class Admission:
    """Expects how texts grow, from those that it has seen.

    Args:
        page: positions of a page.
        block: steps that are done before anybody looks which texts have ended.
    """

    def __init__(self, page: int, block: int) -> None:
        self._page, self._block = page, block
        self._tokens = self._stops = 0

    @property
    def stopping(self) -> float:
        """The share of the tokens after which a text stopped: the inverse of the mean length, limits aside.

        Running texts count with what they have: those that stopped first are the shorter ones.
        """
        return self._stops / self._tokens if self._tokens else 0.0

    def saw(self, tokens: int, stops: int) -> None:
        """Counts tokens that were written, and texts that stopped before their limit."""
        self._tokens, self._stops = self._tokens + tokens, self._stops + stops

    def room(self, running: Growing, waiting: Growing, pages: int) -> int:
        """Returns how many of the waiting texts, in order, may begin: at least one where none is running.

        Args:
            running: texts that are running.
            waiting: texts that may begin.
            pages: of all texts together.
        """
        if not len(waiting.left):
            return 0
        ends = max(int(part.left.max(initial=0)) for part in (running, waiting))
        step = -(-ends // (_POINTS * self._page)) * self._page
        starts = np.arange(0, ends, step)
        mean, variance, most = (part.sum(axis=0) for part in self._filled(running, starts, step))
        each = [np.cumsum(part, axis=0) for part in self._filled(waiting, starts, step)]
        spread = _DEVIATIONS * np.sqrt(variance + each[1])
        filled = np.minimum(mean + each[0] + spread, most + each[2]).max(axis=1)  # [waiting]: with those before
        fit = int(np.searchsorted(np.maximum.accumulate(filled), pages, side="right"))
        return fit if len(running.left) else max(1, fit)

    def _filled(self, texts: Growing, starts: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the pages of each text in each span of steps: mean, variance and the most; [texts, spans] each."""
        left = texts.left[:, None]
        reached = texts.lengths[:, None] + np.minimum(starts + step, left) + self._block
        most = np.where(left > starts, -(-reached // self._page), 0).astype(np.float64)
        running = np.exp(-self.stopping * starts)  # the share of the texts that have not stopped before the span
        return most * running, most**2 * running * (1 - running), most
