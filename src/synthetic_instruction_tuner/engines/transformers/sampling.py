"""Vectorized sampling whose draws depend only on (request seed, step), never on the rest of the batch.

One uniform number per token, then the inverse of the cumulative distribution: a request draws the same token whatever
rows surround it, as long as its logits are the same.
"""

from __future__ import annotations

import numpy as np
import torch

from synthetic_instruction_tuner.errors import RunError

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniforms(seed: int, count: int) -> np.ndarray:
    """Returns `count` float32 numbers strictly between 0 and 1: a counter-based stream (splitmix64) of the seed."""
    counter = np.arange(1, count + 1, dtype=np.uint64)
    start = _mix(np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64) + _GOLDEN)
    bits = _mix(start + counter * _GOLDEN) >> np.uint64(41)
    # 23 bits plus one half: exact in float32, never 0 (a token of probability 0 could be drawn) and never 1.
    return ((bits.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)).astype(np.float32)


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return np.asarray(x ^ (x >> np.uint64(31)))


def draw(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: torch.Tensor | None, top_p: torch.Tensor | None
) -> torch.Tensor:
    """Returns one token id per row.

    Args:
        logits: [rows, vocabulary].
        uniform: [rows], one number in (0, 1) each.
        temperature: [rows]; 0 is greedy; None when every row is greedy.
        top_p: [rows]; None when every row samples from the whole distribution.
    """
    if temperature is None:
        return logits.argmax(dim=-1)
    scores = logits.float()
    greedy = temperature <= 0
    scores = scores - scores.amax(dim=-1, keepdim=True)
    weights = torch.exp_(scores / temperature.masked_fill(greedy, 1.0).unsqueeze(1))
    if top_p is not None:
        weights = _nucleus(weights, top_p)
    cumulative = weights.cumsum(dim=-1)
    target = uniform.unsqueeze(1) * cumulative[:, -1:]
    sampled = torch.searchsorted(cumulative, target).squeeze(1)  # the first token whose cumulative weight reaches it
    sampled.clamp_(max=logits.shape[-1] - 1)  # no weight of a row reaches it where logits are NaN
    return torch.where(greedy, logits.argmax(dim=-1), sampled)


def require_finite(logits: torch.Tensor, dtype: torch.dtype) -> None:
    """Raises an error where logits have overflowed. The GPU waits for the host, so do not call it for every token.

    Args:
        logits: [rows, vocabulary].
        dtype: the type of the model's weights.

    Raises:
        RunError: a row's highest logit is NaN or infinite.
    """
    if bool(logits.amax(dim=-1).isfinite().all()):
        return
    name = str(dtype).removeprefix("torch.")
    raise RunError(
        "The model's logits are NaN or infinite.",
        f"its weights are {name}" + (", whose numbers overflow" if dtype != torch.float32 else "; they may be damaged"),
        "Set engine.dtype=float32." if dtype != torch.float32 else "Download the model again, or use another model.",
    )


def _nucleus(weights: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Sets to zero all but the fewest likeliest tokens that hold `top_p` of the mass (Holtzman et al., 2020)."""
    ordered, places = weights.sort(dim=-1, descending=True, stable=True)
    total = ordered.sum(dim=-1, keepdim=True)
    before = ordered.cumsum(dim=-1) - ordered
    keep = (before < top_p.unsqueeze(1) * total) | (top_p.unsqueeze(1) >= 1)
    return torch.zeros_like(weights).scatter(1, places, ordered * keep)
