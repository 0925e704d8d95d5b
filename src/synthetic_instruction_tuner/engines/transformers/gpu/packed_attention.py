"""Texts of unequal length behind one known beginning, one after the other in a single row: nothing computes padding.

Only attention sees the texts apart. There they lie side by side, padded to the longest, with the beginning's keys and
values before each; query heads that share keys and values are taken as further queries, so nothing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from synthetic_instruction_tuner.engines.transformers.gpu.kernel_attention import AttentionSwitch, require_plain

_NAME = "sit_packed"


@dataclass(frozen=True, slots=True)
class Packing:
    """Where packed texts are.

    Attributes:
        rows: how many texts.
        width: tokens of the longest.
        slots: [tokens]; the place of each token were the texts padded, row after row.
        seen: [rows, 1, width, known + width]; what each token attends to.
        layers: the beginning's keys and values, [1, heads, known, head width] each.
    """

    rows: int
    width: int
    slots: torch.Tensor
    seen: torch.Tensor
    layers: Sequence[Any]

    @classmethod
    def of(cls, lengths: Sequence[int], layers: Sequence[Any], device: str) -> Packing:
        """Returns the packing of texts of these lengths."""
        width, known = max(lengths), layers[0].keys.shape[-2]
        ends, places = torch.tensor(lengths, device=device), torch.arange(width, device=device)
        inside = places < ends[:, None]
        causal = (places <= places[:, None]) & inside[:, None]
        causal[:, :, 0] = True  # what pads a text attends to something, or its softmax is not a number
        before = causal.new_ones(len(lengths), width, known)
        return cls(
            len(lengths), width, inside.flatten().nonzero()[:, 0], torch.cat([before, causal], -1)[:, None], layers
        )


_PACKING: ContextVar[Packing] = ContextVar("packing")


class PackedAttention(AttentionSwitch):
    """Switches a model's layers between their own attention and that over packed texts."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, _NAME, _attention)

    @contextmanager
    def active(self, packing: Packing) -> Iterator[None]:
        """Within this context the model takes packed texts as one row, with their positions."""
        reset = _PACKING.set(packing)
        try:
            with self.switched():
                yield
        finally:
            _PACKING.reset(reset)


def no_mask(device: str) -> torch.Tensor:
    """Returns what is handed to the model as its mask: it has four dimensions, so the model hands it on as it is."""
    return torch.zeros(1, 1, 1, 1, dtype=torch.int32, device=device)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention in the signature of transformers; returns [1, tokens, heads, width]."""
    require_plain(attention_mask, kwargs)
    packing = _PACKING.get()
    layer: Any = packing.layers[module.layer_idx]
    heads, shared, width = query.shape[1], key.shape[1], packing.width
    queries = _apart(query, packing).unflatten(1, (shared, heads // shared)).flatten(2, 3)
    keys, values = (
        torch.cat([known.expand(packing.rows, -1, -1, -1), _apart(new, packing)], -2)
        for known, new in ((layer.keys, key), (layer.values, value))
    )
    seen = packing.seen.repeat(1, 1, heads // shared, 1)
    found = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, seen, scale=scaling)
    apart = found.unflatten(2, (heads // shared, width)).flatten(1, 2).transpose(1, 2).flatten(0, 1)
    return apart[packing.slots][None], None


def _apart(packed: torch.Tensor, packing: Packing) -> torch.Tensor:
    """Returns [rows, heads, width, head width] of [1, heads, tokens, head width]; padding is zero."""
    _, heads, _, size = packed.shape
    apart = packed.new_zeros(packing.rows * packing.width, heads, size)
    apart[packing.slots] = packed[0].transpose(0, 1)
    return apart.unflatten(0, (packing.rows, packing.width)).transpose(1, 2)
