"""Takes a diverging training back to its best state, from which it continues at half the learning rate.

Post-norm transformers such as DeBERTa diverge at rates that worked for hundreds of steps, and do not recover by
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MARGIN = 0.05  # a loss above best * worse + MARGIN has diverged
LINGER, LOOKS = 1.15, 20  # so has one above best * LINGER at this many consecutive checks


class Guard:
    """Watches one training.

    Args:
        parameters: what is trained.
        optimizers: those that train it.
        worse: training has diverged at this many times the best loss; above 1, as the smoothed loss varies by itself.

    Attributes:
        factor: multiplies the learning rate; halved each time that training goes back.
        best: the lowest loss seen.
    """

    def __init__(self, parameters: Sequence[Tensor], optimizers: Sequence[torch.optim.Optimizer], worse: float) -> None:
        self.worse = worse
        self.parameters, self.optimizers = list(parameters), list(optimizers)
        self.factor, self.best, self._lingering = 1.0, math.inf, 0
        self._weights: list[Tensor] = []
        self._states: list[dict[Tensor, dict[str, Tensor]]] = []
        self.keep()

    def look(self, loss: float) -> bool:
        """Keeps the current state if the (smoothed) loss is the best so far; goes back to the best if it has diverged.

        Returns:
            Whether the training went back.
        """
        if loss < self.best:
            self.best, self._lingering = loss, 0
            self.keep()
            return False
        self._lingering = 0 if loss <= self.best * LINGER else self._lingering + 1
        near = loss <= self.best * self.worse + MARGIN  # also False for a loss that is not a number
        if near and self._lingering < LOOKS:
            return False
        self._lingering = 0
        self.restore()
        self.factor /= 2
        return True

    def keep(self) -> None:
        """Makes the current state the one to go back to."""
        self._weights = [p.detach().clone() for p in self.parameters]
        self._states = [
            {p: {name: value.clone() for name, value in state.items()} for p, state in optimizer.state.items()}
            for optimizer in self.optimizers
        ]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def restore(self) -> None:
        """Restores the best state, or the initial one before any loss, in the same tensors.

        A captured CUDA graph uses only those.
        """
        for parameter, weights in zip(self.parameters, self._weights, strict=True):
            parameter.copy_(weights)
        for optimizer, kept in zip(self.optimizers, self._states, strict=True):
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    value.copy_(kept[parameter][name] if parameter in kept else torch.zeros_like(value))
