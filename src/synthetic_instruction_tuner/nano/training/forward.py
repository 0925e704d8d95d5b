"""One forward pass for the three architectures, over the weights of a Transformers model.

Llama, Mistral and Qwen2 of this size compute the same function up to the bias of Qwen2's projections. Written out, it
compiles without the library's mask and cache machinery, and decodes with a preallocated cache. A test holds it to the
library's logits.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Cache:
    """Keys and values of all layers, preallocated: each of shape (layers, batch, kv heads, length, head size)."""

    def __init__(self, config: Any, batch: int, length: int, device: torch.device, dtype: torch.dtype) -> None:
        size = config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, length, size)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.filled = 0

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends new keys and values and returns all of them."""
        end = self.filled + keys.shape[2]
        self.keys[layer, :, :, self.filled : end] = keys
        self.values[layer, :, :, self.filled : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def keep(self, rows: Tensor) -> None:
        """Keeps only the given rows of the batch."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]


def rotations(config: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the cosines and sines of the rotary embedding, each (positions, head size), in float32."""
    size = config.hidden_size // config.num_attention_heads
    theta = config.rope_parameters["rope_theta"]
    frequencies = theta ** (-torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)
    angles = torch.outer(torch.arange(config.max_position_embeddings, device=device).float(), frequencies)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def hidden_states(
    model: Any, ids: Tensor, cosines: Tensor, sines: Tensor, cache: Cache | None = None, mask: Tensor | None = None
) -> Tensor:
    """Returns the last hidden states.

    Args:
        model: a `LlamaForCausalLM`, `MistralForCausalLM` or `Qwen2ForCausalLM`.
        ids: token ids, (batch, length).
        cosines, sines: rotations of the tokens' positions: (length, head size), or (batch, 1, length, head size).
        cache: holds the keys and values of earlier tokens; those of these tokens are added.
        mask: which keys each query sees, (batch, 1, length, keys); None for plain causal attention.

    Returns:
        Hidden states after the last norm, (batch, length, hidden size).
    """
    heads, kv_heads = model.config.num_attention_heads, model.config.num_key_value_heads
    x = model.model.embed_tokens(ids)
    for number, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        y = _norm(x, layer.input_layernorm)
        query = _rotate(_split(attention.q_proj(y), heads), cosines, sines)
        key = _rotate(_split(attention.k_proj(y), kv_heads), cosines, sines)
        value = _split(attention.v_proj(y), kv_heads)
        if cache is not None:
            key, value = cache.put(number, key, value)
        key, value = (t.to(query.dtype).repeat_interleave(heads // kv_heads, dim=1) for t in (key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        x = x + attention.o_proj(mixed.transpose(1, 2).flatten(2))
        y = _norm(x, layer.post_attention_layernorm)
        x = x + layer.mlp.down_proj(F.silu(layer.mlp.gate_proj(y)) * layer.mlp.up_proj(y))
    if cache is not None:
        cache.filled += ids.shape[1]
    return _norm(x, model.model.norm)


def next_token_loss(model: Any, ids: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Returns the mean loss, in nats, of predicting each of ``ids[:, 1:]`` from the ids before it."""
    length = ids.shape[1] - 1
    states = hidden_states(model, ids[:, :-1], cosines[:length], sines[:length])
    logits = F.linear(states, model.model.embed_tokens.weight).float()
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _norm(x: Tensor, norm: nn.Module) -> Tensor:
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + norm.variance_epsilon)
    return norm.weight * (wide * scale).to(x.dtype)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def _rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return (x * cosines + torch.cat((-second, first), dim=-1) * sines).to(x.dtype)
