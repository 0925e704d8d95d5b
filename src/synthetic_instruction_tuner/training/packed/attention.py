"""Attention within stretches of a packed row, by the fastest kernel that is there; no text sees another.

`kernel_for` tries them on a GPU in this order, against attention text by text:

- flash attention on lengths that differ (16 bits, compute capability 8.0 and later: A100, L4, H100),
- memory-efficient attention on lengths that differ (every GPU, also a T4 in float16),
- scaled_dot_product_attention text by text (everywhere, and always on a CPU).

All three are torch's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from synthetic_instruction_tuner.training.packed.packs import Stretches

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Stretches, float, int | None], torch.Tensor]
"""Takes queries [length, heads, width], keys and values [keys, key heads, width], the stretches, the scale and the
window, which counts the position itself; returns [length, heads, width]."""

_FROM_THE_END = 2  # of memory-efficient attention: the last query sees the last key


def attend(
    kernel: Kernel,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    stretches: Stretches,
    scale: float,
    window: int | None,
) -> torch.Tensor:
    """Returns attention of a packed row, [length, heads, width].

    Args:
        kernel: one of this module's.
        q: queries, [length, heads, width].
        k: keys of the row, [length, key heads, width].
        v: values of the row, of the same shape.
        stretches: which positions see which.
        scale: of the products.
        window: how many positions a position sees, itself counted; None: all before it.
    """
    if stretches.key_rows is not None:
        k, v = (side.index_select(0, stretches.key_rows) for side in (k, v))
    if window is not None and window >= max(stretches.keys):
        window = None
    return kernel(q, k, v, stretches, scale, window)


def flash(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, stretches: Stretches, scale: float, window: int | None
) -> torch.Tensor:
    """Flash attention; key heads may be fewer than heads."""
    longest = max(stretches.queries), max(stretches.keys)
    ends = stretches.query_ends, stretches.key_ends
    sides: dict[str, Any] = {} if window is None else {"window_size_left": window - 1, "window_size_right": 0}
    op = torch.ops.aten._flash_attention_forward
    found: tuple[torch.Tensor, ...] = op(q, k, v, *ends, *longest, 0.0, True, False, scale=scale, **sides)
    return found[0]


def efficient(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, stretches: Stretches, scale: float, window: int | None
) -> torch.Tensor:
    """Memory-efficient attention; keys and values are repeated for every head."""
    repeats = q.shape[1] // k.shape[1]
    if repeats > 1:
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    longest = max(stretches.queries), max(stretches.keys)
    ends = stretches.query_ends, stretches.key_ends
    found: tuple[torch.Tensor, ...] = torch.ops.aten._efficient_attention_forward(
        q[None],
        k[None],
        v[None],
        None,
        *ends,
        *longest,
        0.0,
        _FROM_THE_END,
        torch.is_grad_enabled() and q.requires_grad,
        scale=scale,
        window_size=window,
    )
    return found[0][0]


def text_by_text(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, stretches: Stretches, scale: float, window: int | None
) -> torch.Tensor:
    """Torch's attention on one stretch after the other."""
    parts = []
    sides = q.split(stretches.queries), k.split(stretches.keys), v.split(stretches.keys)
    for own, key, value in zip(*sides, strict=True):
        mask = _mask(len(own), len(key), window, q.device)
        own, key, value = (x.transpose(0, 1)[None] for x in (own, key, value))  # [1, heads, tokens, width]
        part = scaled_dot_product_attention(
            own, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        parts.append(part[0].transpose(0, 1))
    return torch.cat(parts)


def _mask(queries: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Returns which key each query sees, [queries, keys]; None where each sees all up to itself."""
    if queries == keys and (window is None or window >= keys):
        return None
    at = torch.arange(keys - queries, keys, device=device)[:, None]
    behind = at - torch.arange(keys, device=device)[None]
    return (behind >= 0) & (behind < (window or keys + 1))


def kernel_for(
    device: torch.device, dtype: torch.dtype, heads: int, key_heads: int, width: int, window: int | None
) -> Kernel:
    """Returns the fastest kernel that gives what attention text by text gives, with its gradients, on this device."""
    if device.type == "cuda":
        for kernel in (flash, efficient):
            if _agrees(kernel, device, dtype, heads, key_heads, width, window):
                return kernel
    return text_by_text


def _agrees(
    kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, key_heads: int, width: int, window: int | None
) -> bool:
    stretches = _trial(device)
    generator = torch.Generator(device).manual_seed(0)
    shapes = [(sum(stretches.queries), heads, width), *[(sum(stretches.queries), key_heads, width)] * 2]
    q, k, v = (torch.randn(s, generator=generator, device=device, dtype=dtype).requires_grad_() for s in shapes)
    weights = torch.randn(shapes[0], generator=generator, device=device, dtype=dtype)
    results = []
    try:
        for one in (text_by_text, kernel):
            for limit in {None, min(window, 9) if window else None}:
                out = attend(one, q, k, v, stretches, width**-0.5, limit)
                results.append([out, *torch.autograd.grad((out.float() * weights.float()).sum(), (q, k, v))])
        half = len(results) // 2
        pairs = zip(results[:half], results[half:], strict=True)
        return all(_close(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # a kernel that is not there, or not for this GPU, shape or type
        return False


def _close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    error = (found.float() - wanted.float()).norm() / wanted.float().norm()
    return bool(error < {torch.float32: 1e-4}.get(wanted.dtype, 2e-2))


def _trial(device: torch.device) -> Stretches:
    """Returns stretches of which the third sees the first ten positions of the second beside its own."""
    queries, keys = (17, 40, 21), (17, 40, 31)
    rows = torch.tensor([*range(57), *range(17, 27), *range(57, 78)], device=device)
    ends = [torch.tensor([0, *x], device=device).cumsum(0).to(torch.int32) for x in (queries, keys)]
    return Stretches(queries, keys, rows, *ends)
