"""The state of the random numbers that training draws: dropout, on the CPU and on the GPU."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


def _gpu() -> torch.Tensor | None:
    return torch.cuda.get_rng_state() if torch.cuda.is_available() and torch.cuda.is_initialized() else None


@dataclass(frozen=True, slots=True)
class RandomState:
    """The state at one moment, and the way back to it."""

    cpu: torch.Tensor = field(default_factory=torch.get_rng_state)
    gpu: torch.Tensor | None = field(default_factory=_gpu)

    def restore(self) -> None:
        """Makes this the state again."""
        torch.set_rng_state(self.cpu)
        if self.gpu is not None:
            torch.cuda.set_rng_state(self.gpu)
