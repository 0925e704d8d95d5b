"""A key-value cache with one slot per running sequence, each as long as its own text.

A sequence lies in its slot from position 0, so there is no padding between rows of different age: a finished row's slot
is filled by moving the last row there, and new rows are appended. Only the filled part is read at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache

_FIRST_LENGTH = 64


class SlotCache(Cache):  # type: ignore[misc]  # transformers ships no types for it
    """Keys and values of the running rows, [slots, heads, length, width] per layer, grown by doubling.

    Attributes:
        rows: how many slots are in use; they are the first ones.
    """

    def __init__(self, slots: int) -> None:
        self.layers: list[Any] = []
        self.layer_class_to_replicate = None
        self.offloading = False
        self.slots, self.rows = slots, 0
        self._capacity = 0
        self._buffers: list[list[torch.Tensor]] = []
        self._positions = self._index = torch.empty(0, dtype=torch.long)
        self._length = 0

    def append(self, prefilled: DynamicCache | None, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Adds one row per entry of `source`: copies that row of the prefilled cache, its length of it."""
        count, length = len(source), max(lengths)
        if prefilled is not None:
            pairs = [(layer.keys, layer.values) for layer in prefilled.layers]
            self._reserve(length, pairs)
            for buffers, tensors in zip(self._buffers, pairs, strict=True):
                for buffer, new in zip(buffers, tensors, strict=True):
                    buffer[self.rows : self.rows + count, :, :length] = new[source]
        self.rows += count

    def keep(self, rows: Sequence[int], length: int) -> None:
        """Keeps these rows, in this order; those that move hold at most `length` positions."""
        moved = [(to, row) for to, row in enumerate(rows) if to != row]
        if moved:
            holes, sources = zip(*moved, strict=True)
            for buffers in self._buffers:
                for buffer in buffers:
                    buffer[list(holes), :, :length] = buffer[list(sources), :, :length]
        self.rows = len(rows)

    def step(self, positions: torch.Tensor, index: torch.Tensor, length: int) -> None:
        """Says where the next token of each row is written, and how many positions attention reads."""
        self._positions, self._index, self._length = positions, index, length
        if self._buffers:
            self._reserve(length, [])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one new position per row and returns views of the filled part."""
        if len(self._buffers) <= layer_idx:  # nothing was prefilled: every prompt is a single token
            self._reserve_layer(key_states, value_states)
        result = []
        for buffer, new in zip(self._buffers[layer_idx], (key_states, value_states), strict=True):
            buffer[self._index, :, self._positions] = new[:, :, 0]
            result.append(buffer[: self.rows, :, : self._length])
        return result[0], result[1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions before the new token."""
        return self._length - 1

    def _reserve(self, length: int, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        if length > self._capacity:
            self._capacity = max(length, _FIRST_LENGTH, min(2 * self._capacity, self._capacity + 1024))
            for buffers in self._buffers:
                for i, old in enumerate(buffers):
                    buffers[i] = old.new_zeros(self.slots, old.shape[1], self._capacity, old.shape[3])
                    buffers[i][: self.rows, :, : old.shape[2]] = old[: self.rows]
        for keys, values in pairs[len(self._buffers) :]:
            self._reserve_layer(keys, values)

    def _reserve_layer(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._capacity = max(self._capacity, self._length, _FIRST_LENGTH)
        # Zeros, not garbage: a masked position still takes part in 0 * value, and garbage may be NaN.
        self._buffers.append([t.new_zeros(self.slots, t.shape[1], self._capacity, t.shape[3]) for t in (keys, values)])
