"""One forward pass of DeBERTa-v2, over the weights of a Transformers model.

Written out, it compiles layer by layer, and on a GPU everything about positions is a matrix product. The library
gathers per example, and even a single lookup in the table of relative positions adds thousands of gradients to one row,
one after the other; that took nine tenths of a training step. The keys' mean is subtracted: what all keys of a text
have in common does not change attention, so training does not limit it, and it grew until bfloat16 had no digits left
for their differences. A test compares the logits with the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

from synthetic_instruction_tuner.nano.training import tokenizer as tok


def places(config: Any, length: int, device: torch.device) -> Tensor:
    """Returns the row of the relative position table for each query and key: (length, length), int64.

    On a GPU one-hot, (length, length, rows), in bfloat16.

    Raises:
        ValueError: the configuration asks for a kind of attention that is not written out here.
    """
    if list(config.pos_att_type) != ["c2p"] or not config.share_att_key:
        raise ValueError(f"only shared keys and c2p are written out, not {config.pos_att_type}")
    probe = torch.empty(1, length, 1)
    relative = build_relative_position(
        probe, probe, bucket_size=config.position_buckets, max_position=config.max_relative_positions
    )
    span = config.position_buckets
    rows = (relative.view(length, length).long() + span).clamp(0, 2 * span - 1)
    return F.one_hot(rows, 2 * span).to(device, torch.bfloat16) if device.type == "cuda" else rows


def block(layer: Any, x: Tensor, seen: Tensor, table: Tensor, where: Tensor) -> Tensor:
    """Returns one layer's output, (batch, length, hidden size).

    Args:
        layer: a `DebertaV2Layer`.
        x: its input, (batch, length, hidden size).
        seen: False at padding, (batch, length).
        table: vectors of the relative positions, (rows, hidden size).
        where: what `places` returned.
    """
    x = _attend(layer.attention, x, seen, table, where)
    y = layer.output.dense(F.gelu(layer.intermediate.dense(x)))
    return layer.output.LayerNorm(y + x)


def hidden_states(model: Any, ids: Tensor, where: Tensor, block: Callable[..., Tensor] = block) -> list[Tensor]:
    """Returns the hidden states after each layer, each (batch, length, hidden size).

    Args:
        model: a `DebertaV2ForSequenceClassification` without dropout, with shared keys for positions, and with no
            attention to positions except that of queries (content to position).
        ids: token ids, (batch, length); padding has an id of its own.
        where: what `places` returned for this length.
        block: computes one layer: the function `block`, or a compiled one.
    """
    seen = ids != tok.PAD_ID
    encoder = model.deberta.encoder
    x = model.deberta.embeddings.LayerNorm(model.deberta.embeddings.word_embeddings(ids)) * seen[:, :, None]
    table = encoder.LayerNorm(encoder.rel_embeddings.weight)
    states = []
    for layer in encoder.layer:
        x = block(layer, x, seen, table, where)
        states.append(x)
    return states


def logits(model: Any, states: Tensor) -> Tensor:
    """Returns the score of each text from its last hidden states, (batch,), in float32."""
    return model.classifier(F.gelu(model.pooler.dense(states[:, 0]))).squeeze(-1).float()


def distinct(x: Tensor, seen: Tensor) -> Tensor:
    """Returns each text's vectors minus their mean over the tokens that are seen: (batch, length, size)."""
    there = seen[:, :, None]
    return x - (x * there).sum(1, keepdim=True) / there.sum(1, keepdim=True)


def _attend(attention: Any, x: Tensor, seen: Tensor, table: Tensor, where: Tensor) -> Tensor:
    own = attention.self
    heads, size = own.num_attention_heads, own.attention_head_size
    query, value = (_split(linear(x), heads) for linear in (own.query_proj, own.value_proj))
    # Without the bias, which all keys share too.
    key, by_row = (F.linear(given, own.key_proj.weight) for given in (distinct(x, seen), table - table.mean(0)))
    by_key = _look_up(by_row, where).unflatten(-1, (heads, size))  # (query, key, heads, size)
    scores = query @ _split(key, heads).transpose(-1, -2) + torch.einsum("bhid,ijhd->bhij", query, by_key)
    scores = scores.float() / (2 * size) ** 0.5
    scores = scores.masked_fill(~seen[:, None, None, :], -1e9)
    mixed = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)
    return attention.output.LayerNorm(attention.output.dense(mixed) + x)


def _look_up(table: Tensor, where: Tensor) -> Tensor:
    return where.to(table.dtype) @ table if where.is_floating_point() else table[where]


def _split(x: Tensor, heads: int) -> Tensor:
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
