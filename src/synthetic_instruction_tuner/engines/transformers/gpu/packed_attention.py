"""Texts of unequal length behind one known beginning, one after the other in a single row: nothing computes padding.

Only attention sees the texts apart. There they lie side by side, padded to the longest, with the beginning's keys and
values before each; query heads that share keys and values are taken as further queries, so nothing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from synthetic_instruction_tuner.engines.transformers.gpu.kernel_attention import AttentionSwitch, require_plain

_NAME = "sit_packed"


_SHORTER = 0.7  # texts below this share of the longest are computed apart from it: less of them is padding
_LEAST = 32  # but not fewer texts than these


@dataclass(frozen=True, slots=True)
class Part:
    """Packed texts of similar length.

    Attributes:
        rows: how many.
        width: tokens of the longest.
        tokens: [tokens]; where theirs are in the packed row.
        slots: [tokens]; the place of each were the texts padded, row after row.
        seen: [rows, 1, width, known + width]; what each token attends to.
    """

    rows: int
    width: int
    tokens: torch.Tensor
    slots: torch.Tensor
    seen: torch.Tensor

    @classmethod
    def of(cls, starts: Sequence[int], lengths: Sequence[int], known: int, device: str) -> Part:
        """Returns a part of texts that start at these tokens and have these lengths."""
        width = max(lengths)
        first, ends = torch.tensor([starts, lengths], device=device)[:, :, None]
        places = torch.arange(width, device=device)
        inside = places < ends
        causal = (places <= places[:, None]) & inside[:, None]
        causal[:, :, 0] = True  # what pads a text attends to something, or its softmax is not a number
        seen = torch.cat([causal.new_ones(len(lengths), width, known), causal], -1)[:, None]
        return cls(len(lengths), width, (first + places)[inside], inside.flatten().nonzero()[:, 0], seen)

    def apart(self, packed: torch.Tensor) -> torch.Tensor:
        """Returns this part's texts, [rows, heads, width, head width] of [tokens, heads, head width]; padding is 0."""
        _, heads, size = packed.shape
        apart = packed.new_zeros(self.rows * self.width, heads, size)
        apart[self.slots] = packed[self.tokens]
        return apart.unflatten(0, (self.rows, self.width)).transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where packed texts are.

    Attributes:
        parts: all texts, those of similar length together.
        layers: the beginning's keys and values, [1, heads, known, head width] each.
    """

    parts: Sequence[Part]
    layers: Sequence[Any]

    @classmethod
    def of(cls, lengths: Sequence[int], layers: Sequence[Any], device: str) -> Packing:
        """Returns the packing of texts of these lengths."""
        starts, known = [0, *accumulate(lengths)], layers[0].keys.shape[-2]
        groups: list[list[int]] = []
        for text in sorted(range(len(lengths)), key=lambda text: -lengths[text]):
            if groups and (len(groups[-1]) < _LEAST or lengths[text] >= _SHORTER * lengths[groups[-1][0]]):
                groups[-1].append(text)
            else:
                groups.append([text])
        parts = [Part.of([starts[t] for t in group], [lengths[t] for t in group], known, device) for group in groups]
        return cls(parts, layers)


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
    queries, keys, values = (states[0].transpose(0, 1) for states in (query, key, value))
    found = torch.empty_like(queries, memory_format=torch.contiguous_format)
    for part in packing.parts:
        found[part.tokens] = _part(part, layer, queries, keys, values, scaling)
    return found[None], None


def _part(
    part: Part, layer: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Returns attention for a part's tokens, [tokens, heads, width], from what all texts have, [all, heads, width]."""
    heads, shared = query.shape[1], key.shape[1]
    queries = part.apart(query).unflatten(1, (shared, heads // shared)).flatten(2, 3)
    keys, values = (
        torch.cat([known.expand(part.rows, -1, -1, -1), part.apart(new)], -2)
        for known, new in ((layer.keys, key), (layer.values, value))
    )
    seen = part.seen.repeat(1, 1, heads // shared, 1)
    found = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, seen, scale=scaling)
    apart = found.unflatten(2, (heads // shared, part.width)).flatten(1, 2).transpose(1, 2).flatten(0, 1)
    return apart[part.slots]
