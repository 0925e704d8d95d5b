"""Projects only the wanted positions to the vocabulary, in any model, whatever comes after its output layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def picked_positions(
    model: Any, rows: Sequence[int], columns: Sequence[int]
) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """Within this context the model's output layer gets only the hidden states at (row, column).

    Full logits of long texts over a large vocabulary are what fills a GPU's memory. Scaling and soft caps that a model
    applies after its output layer stay in force, because the model's own forward pass runs.

    Yields:
        A function that turns the model's `logits` into [len(rows), vocabulary].
    """
    head = model.get_output_embeddings()
    if head is None:
        yield lambda logits: logits[rows, columns]
        return

    def pick(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0][rows, columns][None], *args[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        yield lambda logits: logits[0]
    finally:
        handle.remove()
