"""The small operations of a layer, each in as few launches as torch's own kernels allow.

At a few thousand tokens a GPU computes a layer in milliseconds, so that starting kernels one by one is a large part of
the time. Nothing is compiled: a training of the usual size is over before a compiler has earned its time back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import rms_norm, silu

_generators: dict[torch.device, torch.Generator] = {}


def dropout_mask(x: torch.Tensor, share: float, seed: int) -> torch.Tensor | None:
    """Returns which numbers of the input stay, the same for the same seed; None where all do."""
    if not share:
        return None
    if x.device not in _generators:
        _generators[x.device] = torch.Generator(x.device)
    generator = _generators[x.device].manual_seed(seed)
    return torch.empty(x.shape, dtype=torch.bool, device=x.device).bernoulli_(1 - share, generator=generator)


def masked(x: torch.Tensor, mask: torch.Tensor | None, share: float) -> torch.Tensor:
    """Returns the numbers that stay, scaled so that their mean stays too; 0 in place of the others."""
    if mask is None:
        return x
    found: torch.Tensor = torch.ops.aten.native_dropout_backward(x, mask, 1 / (1 - share))  # x * mask * scale, at once
    return found


def in_float32(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Returns a product of matrices in float32; a GPU does not round it to 16 bits in between."""
    if a.is_cuda and a.dtype != torch.float32 and _gives_float32():
        return torch.mm(a, b, out_dtype=torch.float32)
    return (a @ b).float()


_float32_given: bool | None = None


def _gives_float32() -> bool:
    """Returns whether torch multiplies 16-bit matrices into float32 here."""
    global _float32_given
    if _float32_given is None:
        one = torch.ones(16, 16, dtype=torch.float16, device="cuda")
        try:
            torch.mm(one, one, out_dtype=torch.float32)
            _float32_given = True
        except (TypeError, RuntimeError, NotImplementedError):  # an older torch, or not on this GPU
            _float32_given = False
    return _float32_given


class Same:
    """The input is what is kept."""

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Returns it."""
        return x, None

    def slopes(self, gradient: torch.Tensor, kept: Sequence[torch.Tensor], more: None) -> tuple[torch.Tensor]:
        """Returns its gradient."""
        return (gradient,)


class Gated:
    """The input is the product of an activated gate and another layer's output, as in Llama's MLP."""

    def compute(self, gate: torch.Tensor, up: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the product, and the activated gate."""
        activated = silu(gate)
        return activated * up, activated

    def slopes(
        self, gradient: torch.Tensor, kept: Sequence[torch.Tensor], more: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the gradients of both."""
        gate, up = kept
        of_up = more.mul_(gradient)
        return torch.ops.aten.silu_backward(gradient.mul_(up), gate), of_up


class Norm:
    """The input is the RMS norm of what is kept, times weights."""

    def __init__(self, weight: torch.Tensor, eps: float) -> None:
        self.weight, self.eps = weight.detach(), eps
        self.fused = _has_fused_norm(weight)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the norm, as a step that autograd follows."""
        return rms_norm(x, (x.shape[-1],), self.weight, self.eps)

    def compute(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Returns the norm, and what its slopes are computed from."""
        if self.fused:
            found: tuple[torch.Tensor, torch.Tensor] = torch.ops.aten._fused_rms_norm(
                x, [x.shape[-1]], self.weight, self.eps
            )
            return found
        with torch.enable_grad():
            source = x.detach().requires_grad_()
            normed = self(source)
        return normed.detach(), (source, normed)

    def slopes(self, gradient: torch.Tensor, kept: Sequence[torch.Tensor], more: Any) -> tuple[torch.Tensor]:
        """Returns the gradient of what is kept."""
        (x,) = kept
        if self.fused:
            op, shape = torch.ops.aten._fused_rms_norm_backward, [x.shape[-1]]
            return (op(gradient, x, shape, more, self.weight, [True, False])[0],)
        source, normed = more
        return (torch.autograd.grad(normed, source, gradient)[0],)


def _has_fused_norm(weight: torch.Tensor) -> bool:
    """Returns whether torch has the norm and its gradient as a kernel each on this device."""
    if not weight.is_cuda:
        return False
    x = torch.ones(1, len(weight), dtype=weight.dtype, device=weight.device)
    try:
        normed, rest = torch.ops.aten._fused_rms_norm(x, [len(weight)], weight.detach(), 1e-6)
        torch.ops.aten._fused_rms_norm_backward(normed, x, [len(weight)], rest, weight.detach(), [True, False])
        return True
    except (AttributeError, RuntimeError, TypeError):  # before torch 2.9, or built without
        return False


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Returns queries or keys turned by their positions (rotary embedding).

    Args:
        x: of the row, [length, heads, width].
        cos: of the angles, [length, 1, width]; both halves are the same.
        sin: likewise.
    """
    found: torch.Tensor = _Turned.apply(x, cos, sin)
    return found


class _Turned(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(gradient, cos, sin, -1), None, None  # a turn back


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, way: int) -> torch.Tensor:
    half = x.shape[-1] // 2
    result = x * cos
    result[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-way)
    result[..., half:].addcmul_(x[..., :half], sin[..., half:], value=way)
    return result
