"""DeBERTa-v2 made fast enough to train: attention bias by matrix products, and compiled layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention


@contextmanager
def fast_attention() -> Iterator[None]:
    """Within it, DeBERTa computes its attention bias by `_bias`."""
    slow = DisentangledSelfAttention.disentangled_attention_bias
    DisentangledSelfAttention.disentangled_attention_bias = _bias
    try:
        yield
    finally:
        DisentangledSelfAttention.disentangled_attention_bias = slow


@contextmanager
def compiled_layers(model: Any, ids: Tensor) -> Iterator[None]:
    """Within it, the layers are compiled, on a GPU: one by one, since they share code and so compile once per shape.

    Args:
        model: a `DebertaV2ForSequenceClassification`.
        ids: token ids to try it out on, (batch, length).
    """
    if model.device.type != "cuda":
        yield
        return
    torch._dynamo.config.recompile_limit = 64
    try:
        for layer in model.deberta.encoder.layer:
            layer.compile(dynamic=False)
        with torch.autocast("cuda", torch.bfloat16):
            model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float().sum().backward()
    except Exception as error:  # whatever the compiler trips over, the plain layers compute the same
        print(f"[reward] compilation failed ({type(error).__name__}: {str(error)[:300]}): without", flush=True)
        _plain(model)
    model.zero_grad(set_to_none=True)
    try:
        yield
    finally:
        _plain(model)


def _plain(model: Any) -> None:
    for layer in model.deberta.encoder.layer:
        layer._compiled_call_impl = None


def _bias(
    self: Any, query: Tensor, key: Tensor, relative_pos: Tensor, rel_embeddings: Tensor, scale_factor: int
) -> Tensor:
    """The disentangled attention's bias by matrix products over looked-up positions, instead of gathers per example.

    The library gathers (batch, heads, length, length) scores, whose backward pass is slow; the looked-up position
    vectors are the same for the whole batch.
    """
    heads, size, length = self.num_attention_heads, self.attention_head_size, query.shape[1]
    span = self.pos_ebd_size
    table = rel_embeddings[: 2 * span]
    places = (relative_pos.view(length, length).long() + span).clamp(0, 2 * span - 1)
    scale = (size * scale_factor) ** 0.5
    by_key = self.key_proj(table).view(2 * span, heads, size)[places]  # (query, key, heads, size)
    by_query = self.query_proj(table).view(2 * span, heads, size)[places]
    q = query.view(-1, heads, length, size)
    k = key.view(-1, heads, length, size)
    content_to_position = torch.einsum("bhid,ijhd->bhij", q, by_key)
    position_to_content = torch.einsum("bhjd,ijhd->bhij", k, by_query)
    return ((content_to_position + position_to_content) / scale).reshape(-1, length, length)
