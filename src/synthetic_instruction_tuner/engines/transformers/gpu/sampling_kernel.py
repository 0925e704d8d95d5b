"""Sampling on a GPU: the inverse of the cumulative distribution, as in `sampling.draw`, in few passes over the logits.

Over a vocabulary of 128,000 tokens, a softmax and a cumulative sum made of separate operations move forty times the
bytes of the logits. Here one kernel sums parts of the vocabulary; another finds the part in which the draw falls, and
reads that alone again.
"""

# mypy: disable-error-code="import-not-found,no-untyped-def,untyped-decorator,no-any-return"

from __future__ import annotations

import torch
import triton
import triton.language as tl

_PART = 2048  # tokens of the vocabulary


def draw_on_gpu(logits: torch.Tensor, uniform: torch.Tensor, temperature: torch.Tensor | None) -> torch.Tensor:
    """Returns one token id per row; arguments as for `sampling.draw`, whose sums are rounded in another order."""
    if temperature is None:
        return logits.argmax(dim=-1)
    rows, vocabulary = logits.shape
    parts = triton.cdiv(vocabulary, _PART)
    highest = logits.new_empty(rows, parts, dtype=torch.float32)
    weight, place = torch.empty_like(highest), logits.new_empty(rows, parts, dtype=torch.int32)
    tokens = logits.new_empty(rows, dtype=torch.long)
    _sum_parts[(rows, parts)](logits, temperature, highest, weight, place, vocabulary, logits.stride(0), PART=_PART)
    _find[(rows,)](
        logits, uniform, temperature, highest, weight, place, tokens, vocabulary, logits.stride(0), uniform.stride(0),
        PARTS=parts, PARTS_PAD=triton.next_power_of_2(parts), PART=_PART,
    )  # fmt: skip
    return tokens


@triton.jit
def _sum_parts(logits, temperature, highest, weight, place, vocabulary, logits_row, PART: tl.constexpr):
    """One program: the highest logit of a part of the vocabulary, where it is, and the sum of weights beside it."""
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    heat = tl.load(temperature + row)
    heat = tl.where(heat > 0, heat, 1.0)
    ids = part * PART + tl.arange(0, PART)
    scores = tl.load(logits + row * logits_row + ids, mask=ids < vocabulary, other=float("-inf")).to(tl.float32)
    top = tl.max(scores, 0)
    safe = tl.where(top > float("-inf"), top, 0.0)
    at = row * tl.num_programs(1) + part
    tl.store(highest + at, top)
    tl.store(weight + at, tl.sum(tl.exp((scores - safe) / heat), 0))
    tl.store(place + at, part * PART + tl.argmax(scores, 0))


@triton.jit
def _find(
    logits, uniform, temperature, highest, weight, place, tokens, vocabulary, logits_row, uniform_row,
    PARTS: tl.constexpr, PARTS_PAD: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """One program: the token of a row, where the cumulative weight reaches the drawn share of the whole."""
    row = tl.program_id(0).to(tl.int64)
    warmth = tl.load(temperature + row)
    heat = tl.where(warmth > 0, warmth, 1.0)
    parts = tl.arange(0, PARTS_PAD)
    inside = parts < PARTS
    tops = tl.load(highest + row * PARTS + parts, mask=inside, other=float("-inf"))
    top = tl.max(tops, 0)
    weights = tl.load(weight + row * PARTS + parts, mask=inside, other=0.0) * tl.exp((tops - top) / heat)
    weights = tl.where(inside & (tops > float("-inf")), weights, 0.0)
    sums = tl.cumsum(weights, 0)
    target = tl.load(uniform + row * uniform_row) * tl.sum(weights, 0)
    last = tl.max(tl.where(weights > 0, parts, 0), 0)
    part = tl.minimum(tl.sum((sums < target).to(tl.int32), 0), last)
    before = tl.sum(tl.where(parts == part, sums - weights, 0.0), 0)
    ids = part * PART + tl.arange(0, PART)
    scores = tl.load(logits + row * logits_row + ids, mask=ids < vocabulary, other=float("-inf")).to(tl.float32)
    powers = tl.exp((scores - top) / heat)
    reached = tl.sum((tl.cumsum(powers, 0) + before < target).to(tl.int32), 0)
    final = tl.max(tl.where(powers > 0, tl.arange(0, PART), 0), 0)
    sampled = part * PART + tl.minimum(reached, final)
    best = tl.load(place + row * PARTS + tl.argmax(tops, 0))
    tl.store(tokens + row, tl.where(warmth > 0, sampled, best).to(tl.int64))
