"""Takes a training that diverges back to its best state, to go on at half the learning rate.

Post-norm transformers such as DeBERTa's fall apart at rates that served them well for hundreds of steps, and never
recover by themselves.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WORSE, MARGIN = 1.15, 0.03  # a loss above best * WORSE + MARGIN has diverged


class Guard:
    """Watches one training.

    Args:
        parameters: what is trained.
        optimizer: trains it.

    Attributes:
        factor: to be multiplied with the learning rate; halved with each return.
        best: the lowest loss seen.
    """

    def __init__(self, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
        self.parameters, self.optimizer = list(parameters), optimizer
        self.factor, self.best = 1.0, math.inf
        self._weights: list[Tensor] = []
        self._state: dict[str, Any] = {}

    def look(self, loss: float) -> bool:
        """Keeps the present state if the (smoothed) loss is the best so far; goes back to the best if it has diverged.

        Returns:
            Whether the training went back.
        """
        if loss < self.best:
            self.best = loss
            self._weights = [p.detach().clone() for p in self.parameters]
            self._state = copy.deepcopy(self.optimizer.state_dict())
            return False
        if loss <= self.best * WORSE + MARGIN:  # also False for a loss that is not a number
            return False
        self.restore()
        self.factor /= 2
        return True

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def restore(self) -> None:
        """Brings the best state back."""
        for parameter, weights in zip(self.parameters, self._weights, strict=True):
            parameter.copy_(weights)
        if self._state:
            self.optimizer.load_state_dict(self._state)
