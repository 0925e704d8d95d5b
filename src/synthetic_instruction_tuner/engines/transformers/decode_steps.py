"""One step of decoding: each running row's last token goes in, its next token comes out.

`MaskedSteps` uses the model's own attention and works everywhere. `KernelSteps` uses the decode kernel and CUDA graphs.
"""

from __future__ import annotations

from typing import Any

import torch

from synthetic_instruction_tuner.engines.transformers.decode_masks import MaskMaker
from synthetic_instruction_tuner.engines.transformers.forward_pass import learned_positions
from synthetic_instruction_tuner.engines.transformers.gpu.fused_layers import FusedLayers
from synthetic_instruction_tuner.engines.transformers.gpu.kernel_attention import KernelAttention
from synthetic_instruction_tuner.engines.transformers.gpu.paged_cache import PagedCache
from synthetic_instruction_tuner.engines.transformers.gpu.step_graphs import StepGraphs
from synthetic_instruction_tuner.engines.transformers.running_rows import RunningRows
from synthetic_instruction_tuner.engines.transformers.slot_cache import SlotCache


class MaskedSteps:
    """Steps with the model's own attention over all positions up to the longest row's end.

    Args:
        model: a causal LM.
        rows, cache: the running rows and their keys and values.
    """

    def __init__(self, model: Any, rows: RunningRows, cache: SlotCache) -> None:
        self.cache = cache
        self._model, self._rows = model, rows
        self._masks, self._learned = MaskMaker(model), learned_positions(model)

    def begin(self) -> int:
        """Prepares a block of steps with the same rows; returns how many rows must go first."""
        return 0

    def step(self) -> torch.Tensor:
        """Draws the next token of each row; returns the logits, [rows, vocabulary]."""
        count, length = self._rows.count, int(self._rows.lengths.max()) + 1
        positions = self._rows.positions[:count]
        self.cache.step(positions, self._rows.index[:count], length)
        logits = _forward(self._model, self._rows, count, self._masks(positions, length), self.cache, self._learned)
        self._rows.draw(logits)
        return logits


class KernelSteps:
    """Steps with the decode kernel, recorded as CUDA graphs, one for each of a few numbers of rows.

    Args:
        model: a causal LM.
        rows, cache: the running rows and their keys and values.
        block: steps between two calls of `begin`.
        fused: the model's parts that kernels serve.
    """

    def __init__(self, model: Any, rows: RunningRows, cache: PagedCache, block: int, fused: FusedLayers) -> None:
        from synthetic_instruction_tuner.engines.transformers.gpu.sampling_kernel import draw_on_gpu

        self.cache, self._draw = cache, draw_on_gpu
        self._model, self._rows, self._block, self._fused = model, rows, block, fused
        self._masks, self._learned = MaskMaker(model), learned_positions(model)
        self._attention, self._graphs, self._count = KernelAttention(model), StepGraphs(), 0

    def begin(self) -> int:
        """Prepares a block of steps with the same rows; returns how many rows must go first, for want of pages."""
        self._count = min(_graph_size(self._rows.count), len(self.cache.table))
        return self.cache.extend(self._rows.lengths + self._block)

    def step(self) -> torch.Tensor:
        """Draws the next token of each row; returns the logits, [rows or more, vocabulary]."""
        return self._graphs.run((self._count, self._rows.sampling), self._on_device)

    def _on_device(self) -> torch.Tensor:
        """Does the step; nothing waits for the host, and no shape depends on how long the rows are."""
        positions = self._rows.positions[: self._count]
        self.cache.step(positions, self._rows.index[: self._count])
        with self._attention.active(self.cache.table), self._fused.active():
            spans = self._masks.spans(positions)
            logits = _forward(self._model, self._rows, self._count, spans, self.cache, self._learned)
        self._rows.draw(logits, self._draw)
        return logits


def _forward(model: Any, rows: RunningRows, count: int, mask: Any, cache: Any, learned: int | None) -> torch.Tensor:
    """Feeds the first rows' last tokens to the model and returns its logits, [count, vocabulary]."""
    positions = rows.positions[:count]
    # A finished row continues until the tokens are read, and must not leave the table of learned positions.
    places = positions if learned is None else positions.clamp(max=learned - 1)
    logits: torch.Tensor = model(
        input_ids=rows.tokens[:count, None],
        attention_mask=mask,
        position_ids=places[:, None],
        past_key_values=cache,
        use_cache=True,
    ).logits[:, -1]
    return logits


def _graph_size(rows: int) -> int:
    """Returns the next of 1, 2, 3, 4, 6, 8, 12, 16, ...: a graph each, and at most a third of the rows too many."""
    size = 1 << (rows - 1).bit_length()
    return size * 3 // 4 if size >= 4 and rows <= size * 3 // 4 else size
