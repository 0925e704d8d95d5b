"""How fast a training is now: tokens per second over the last steps, and what that means in FLOP/s."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

STEPS = 10  # that the pace is taken over: a first step that compiles is soon forgotten


def model_flops(tokens: float, total_parameters: int, trained_parameters: int) -> float:
    """Returns the FLOPs of forward and backward passes with a frozen base model, without what is computed again.

    Each parameter is multiplied and added once per token forward and once for the gradients of the activations; those
    that are trained once more for their own gradients. Attention, which has no parameters, is not counted.

    Args:
        tokens: that were read.
        total_parameters: of base model and adapter.
        trained_parameters: of the adapter.
    """
    return tokens * (4.0 * total_parameters + 2.0 * trained_parameters)


class Pace:
    """Tokens per second over the last steps.

    Args:
        tokens: of each step, in the order of the training.
        now: the clock, in seconds.
    """

    def __init__(self, tokens: Sequence[int], now: Callable[[], float] = time.perf_counter) -> None:
        self._tokens, self._now = tokens, now
        self._last: deque[tuple[float, int]] = deque([(now(), 0)], maxlen=STEPS + 1)

    def after(self, step: int) -> float | None:
        """Notes that a step, counted from 1, is done; returns the tokens per second."""
        self._last.append((self._now(), self._tokens[min(step, len(self._tokens)) - 1]))
        seconds = self._last[-1][0] - self._last[0][0]
        return sum(tokens for _, tokens in list(self._last)[1:]) / seconds if seconds > 0 else None
