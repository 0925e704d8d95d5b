"""Muon: momentum whose matrices are made orthogonal before they are added.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", kellerjordan.github.io/posts/muon.
A post-norm transformer such as DeBERTa learns several times as fast with it as with AdamW, whose rate must stay low
there. `torch.optim.Muon` updates one matrix after the other, and for matrices of this size the launches take longer
than the training step. Here all matrices of a shape are updated at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz iteration, as chosen by Muon's authors


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Muon with Nesterov momentum.

    Args:
        matrices: parameters of two dimensions, or groups of them; embeddings and heads need another optimizer.
        lr: how far a square matrix moves in one step, as a spectral norm; a tensor, on the matrices' device, where it
            changes between replays of a CUDA graph.
        weight_decay: decoupled; no singular value grows beyond its inverse.
    """

    def __init__(
        self, matrices: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float | Tensor, weight_decay: float = 0.1
    ) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Updates all matrices that have a gradient; a closure is not called."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for shape, matrices in shapes.items():
                self._move(matrices, group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5, group)

    def _move(self, matrices: list[Tensor], rate: float | Tensor, group: dict[str, Any]) -> None:
        for matrix in matrices:
            if "momentum" not in self.state[matrix]:
                self.state[matrix]["momentum"] = torch.zeros_like(matrix)
        momenta = [self.state[matrix]["momentum"] for matrix in matrices]
        gradients = [matrix.grad for matrix in matrices]
        torch._foreach_mul_(momenta, MOMENTUM)
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, momenta, alpha=MOMENTUM)
        moves = orthogonal(torch.stack(ahead)).to(matrices[0].dtype)
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_sub_(matrices, list((rate * moves).unbind()))


def orthogonal(matrices: Tensor) -> Tensor:
    """Returns matrices with the same singular vectors whose singular values are near 1.

    Most end between 0.7 and 1.2; five iterations leave those of nearly singular matrices smaller.

    Args:
        matrices: (count, rows, columns).
    """
    a, b, c = COEFFICIENTS
    x = matrices.to(torch.bfloat16) if matrices.is_cuda else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
