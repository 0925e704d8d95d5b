"""A key-value cache in pages: a row holds as many as its text fills, wherever they lie.

Texts of unknown length share one pool, so as many rows run at once as their tokens fit (PagedAttention; Kwon et al.,
2023). Nothing is copied when rows move or grow, and all tensors stay where they are, as CUDA graphs require. Page 0
belongs to nobody: rows that are not in use write there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicCache

PAGE = 64  # positions
_SPARE = 3  # pages of a row beside those of its positions: what steps take in advance, and unfilled pages


class PagedCache(Cache):  # type: ignore[misc]  # transformers ships no types for it
    """Keys and values of the running rows, [pages, heads, PAGE, width] per layer.

    Args:
        slots: the most rows at once.
        longest: the most positions of a row.
        total: the most positions of all rows together, were there room for all of them.
        like: a cache filled by the model, whose layers have the shapes of this one's.
        room: bytes that it may take; None for any number.

    Attributes:
        table: [slots, pages of the longest row], int32; the pages of each row, in order.
        pages: how many rows can have.

    Raises:
        torch.OutOfMemoryError: the longest row does not fit into them.
    """

    def __init__(self, slots: int, longest: int, total: int, like: DynamicCache, room: float | None = None) -> None:
        self.layers: list[Any] = []
        self.layer_class_to_replicate = None
        self.offloading = False
        shapes = [(layer.keys, layer.values) for layer in like.layers]
        device = shapes[0][0].device
        self.table = torch.zeros(slots, _pages(longest), dtype=torch.int32, device=device)
        self.pages = _pages(total) + slots * _SPARE
        if room is not None:
            self.pages = min(self.pages, _affordable(shapes, room))
        if self.pages < self.table.shape[1]:
            raise torch.OutOfMemoryError(f"no room for {longest:,} positions in the GPU's memory")
        self._buffers = [[t.new_zeros(self.pages + 1, t.shape[1], PAGE, t.shape[3]) for t in pair] for pair in shapes]
        self._free = list(range(self.pages, 0, -1))
        self._owned: list[list[int]] = []
        self._page = self._place = torch.empty(0, dtype=torch.long)

    def append(self, prefilled: DynamicCache | None, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Adds one row per entry of `source`: copies that row of the prefilled cache, its length of it."""
        first = len(self._owned)
        self._owned += [[] for _ in source]
        self._give(dict(enumerate(map(_pages, lengths), start=first)))
        if prefilled is None:
            return
        copies = [
            (k, j, page) for k, own in zip(source, self._owned[first:], strict=True) for j, page in enumerate(own)
        ]
        row, part, page = torch.tensor(copies, device=self.table.device).reshape(-1, 3).unbind(1)
        for buffers, layer in zip(self._buffers, prefilled.layers, strict=True):
            for buffer, new in zip(buffers, (layer.keys, layer.values), strict=True):
                whole = torch.nn.functional.pad(new, (0, 0, 0, -new.shape[2] % PAGE))
                buffer[page] = whole.unflatten(2, (-1, PAGE))[row, :, part]

    def extend(self, lengths: np.ndarray) -> int:
        """Gives the rows the pages that they need for their lengths; [rows].

        Returns:
            How many of the last rows must go first, because their pages are needed; nothing has changed then.
        """
        owned = np.array([len(own) for own in self._owned])
        missing = np.maximum(-(-lengths // PAGE) - owned, 0)
        staying = len(owned)
        while missing[:staying].sum() > len(self._free) + owned[staying:].sum():
            staying -= 1
        if staying == len(owned):
            self._give({int(row): int(owned[row] + missing[row]) for row in missing.nonzero()[0]})
        return len(owned) - staying

    def keep(self, rows: Sequence[int], length: int) -> None:
        """Keeps these rows, in this order, and takes back the pages of all others; nothing is copied."""
        staying = set(rows)
        for row, own in enumerate(self._owned):
            if row not in staying:
                self._free += own
        before = len(self._owned)
        self._owned = [self._owned[row] for row in rows]
        self.table[: len(rows)] = self.table[torch.tensor(rows, dtype=torch.long, device=self.table.device)]
        self.table[len(rows) : before] = 0

    def step(self, positions: torch.Tensor, index: torch.Tensor) -> None:
        """Says where the next token of each row is written; works on the device alone."""
        self._page, self._place = self.table[index, positions // PAGE], positions % PAGE

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one new position per row and returns all pages, which only the decode kernel can read."""
        keys, values = self._buffers[layer_idx]
        if keys.is_cuda:
            from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import write_pages

            write_pages(keys, values, key_states, value_states, self._page, self._place)
        else:  # in tests, which need no kernel
            keys[self._page, :, self._place] = key_states[:, :, 0]
            values[self._page, :, self._place] = value_states[:, :, 0]
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions before the new token; rows differ, and the model is told each row's position."""
        return 1

    def _give(self, wanted: dict[int, int]) -> None:
        """Gives rows pages until each has the number wanted."""
        given = []
        for row, count in wanted.items():
            own = self._owned[row]
            while len(own) < count:
                given.append((row, len(own), self._free[-1]))
                own.append(self._free.pop())
        if given:
            row, column, page = torch.tensor(given, device=self.table.device).unbind(1)
            self.table[row, column] = page.to(torch.int32)


def _pages(length: int) -> int:
    return -(-length // PAGE)


def _affordable(shapes: Sequence[tuple[torch.Tensor, torch.Tensor]], room: float) -> int:
    """Returns how many pages fit into so many bytes, less the one that belongs to nobody."""
    page = sum(PAGE * t.shape[1] * t.shape[3] * t.element_size() for pair in shapes for t in pair)
    return int(room / page) - 1
