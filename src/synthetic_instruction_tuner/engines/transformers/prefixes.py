"""What many texts begin with is read once: the keys and values of a common beginning, used for all of them.

The questions of one exam subject share their solved examples, which are most of the text. The texts of such a group are
scored behind the cache of the beginning instead of reading it again for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs
from synthetic_instruction_tuner.engines.transformers.scoring import ScoredRow

WORTH_TOKENS, WORTH_ROWS = 64, 3  # a shorter beginning, or of fewer texts, is read again each time


@dataclass(frozen=True, slots=True)
class Prefix:
    """The keys and values of a text's beginning.

    Attributes:
        length: its tokens.
        virtual: tokens of a soft prompt before them.
        cache: of one row.
    """

    length: int
    virtual: int
    cache: Any

    def inputs(self, rows: int, width: int, device: str) -> dict[str, Any]:
        """Returns what a forward pass over `rows` texts of `width` further tokens needs besides their ids."""
        start = self.virtual + self.length
        positions = torch.arange(start, start + width, device=device).expand(rows, -1)
        return {"past_key_values": self.cache, "position_ids": positions, "use_cache": True}


class _KeptLayer(DynamicLayer):  # type: ignore[misc]  # transformers ships no types for it
    """One layer's keys and values of a beginning, [1, heads, tokens, width]; what follows it is not kept.

    So a pass holds the keys and values of all its texts for one layer at a time, and nothing is copied before it.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.lazy_initialization(layer.keys, layer.values)
        self.keys, self.values = layer.keys, layer.values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the beginning followed by the new positions, for every row."""
        rows = len(key_states)
        keys, values = (kept.expand(rows, -1, -1, -1) for kept in (self.keys, self.values))
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)


def groups_of(rows: Sequence[ScoredRow], least: int = WORTH_TOKENS) -> list[tuple[int, list[ScoredRow]]]:
    """Returns the rows in groups, each with the length of the beginning to read once; 0 where that is not worth it.

    Rows keep their order within a group. The rows of no group come first, as one group.
    """
    ordered = sorted(range(len(rows)), key=lambda i: rows[i].context)
    found: list[list[int]] = []
    for index in ordered:
        if found and _common(rows[found[-1][0]].context, rows[index].context) >= least:
            found[-1].append(index)
        else:
            found.append([index])
    alone: list[int] = []
    together: list[tuple[int, list[ScoredRow]]] = []
    for group in found:
        mine = [rows[i] for i in sorted(group)]
        length = min(_common(rows[group[0]].context, rows[group[-1]].context), min(len(r.context) for r in mine) - 1)
        if len(mine) < WORTH_ROWS or length < least or any(len(row.branches) > 1 for row in mine):
            alone += group
        else:
            together.append((length, mine))
    return ([(0, [rows[i] for i in sorted(alone)])] if alone else []) + together


@torch.inference_mode()  # type: ignore[untyped-decorator]
def read_prefix(model: Any, ids: Sequence[int], device: str, soft: torch.Tensor | None) -> Prefix:
    """Returns the keys and values of a beginning, behind a soft prompt if there is one."""
    inputs = padded_inputs([ids], model, 0, device, soft)
    base = model.get_decoder() if hasattr(model, "get_decoder") else model
    cache = base(**inputs, use_cache=True).past_key_values
    cache.layers = [_KeptLayer(layer) for layer in cache.layers]
    return Prefix(len(ids), 0 if soft is None else len(soft), cache)


def keeps_prefixes(model: Any) -> bool:
    """Returns whether a model's cache holds plain keys and values, all of them."""
    try:
        kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    except Exception:  # a configuration that does not describe its cache
        return False
    return kinds <= {DynamicLayer}


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Returns how many tokens both begin with; slices are compared as a whole, which is fast."""
    same, differ = 0, min(len(one), len(other)) + 1  # so many are the same, and so many are not
    while differ - same > 1:
        middle = (same + differ) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            differ = middle
    return same
