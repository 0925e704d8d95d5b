"""Products of float32 matrices on tensor cores, without their loss of digits.

Tensor cores multiply TF32, which has 10 bits after the leading one where float32 has 23. Each factor is written as the
sum of its first 10 bits and of the rest; three of the four products are computed, and the fourth, of both rests, is
below float32's own rounding. Three such products take a third of the time of one in float32.
Source: Ootomo and Yokota, "Recovering single precision accuracy from Tensor Cores", 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

LEAST_CAPABILITY = (8, 0)  # of a GPU whose tensor cores multiply TF32
_HIGH = -(1 << 13)  # keeps sign, exponent and 10 bits


class SplitLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is not followed
    """A linear layer in float32 whose product is made of three in TF32."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Returns [..., outputs] of [..., inputs]."""
        high, heavy = first_bits(input), first_bits(self.weight)
        factor = torch.cat([high, input - high, high], -1)
        weight = torch.cat([heavy, heavy, self.weight - heavy], -1)
        with _tf32():
            return torch.nn.functional.linear(factor, weight, self.bias)


def first_bits(values: torch.Tensor) -> torch.Tensor:
    """Returns float32 values without what TF32 does not hold; the rest is `values` minus these, without rounding."""
    return (values.contiguous().view(torch.int32) & _HIGH).view(torch.float32)


def split_linears(model: Any, split: bool = True) -> Any:
    """Returns the model, whose linear layers in float32 are computed so from now on, on the same weights."""
    for layer in model.modules() if split else ():
        if type(layer) is torch.nn.Linear and layer.weight.dtype == torch.float32:
            layer.__class__ = SplitLinear
    return model


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
