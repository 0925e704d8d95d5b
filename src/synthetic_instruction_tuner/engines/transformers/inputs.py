"""What goes into a model: token ids of different lengths, a soft prompt in front of them, and how many of both fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def padded_inputs(
    texts: Sequence[Sequence[int]], model: Any, pad_id: int, device: str, soft_prompt: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """Returns `input_ids` [rows, longest], or `inputs_embeds` [rows, virtual + longest, hidden] with a soft prompt.

    Short rows are filled on the right: with causal attention no real token sees the filling, so no mask is needed and
    positions are 0, 1, 2, ... in every row.
    """
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[pad_id] * (width - len(text))] for text in texts], dtype=torch.long, device=device)
    if soft_prompt is None:
        return {"input_ids": ids}
    front = soft_prompt.expand(len(texts), -1, -1)
    if not width:
        return {"inputs_embeds": front}
    return {"inputs_embeds": torch.cat([front, model.get_input_embeddings()(ids).to(front.dtype)], dim=1)}


def learned_positions(model: Any) -> int | None:
    """Returns how many positions the model has learned (GPT-2, OPT), or None where it computes them for any length.

    Beyond that number its table of positions has no row. It is told by its size: OPT's has two rows more.
    """
    count: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    words = model.get_input_embeddings()
    tables = [m.num_embeddings for m in model.modules() if isinstance(m, torch.nn.Embedding) and m is not words]
    return count if count and any(count <= rows <= count + 2 for rows in tables) else None
