"""What lies between the matrix products of a layer, each as one Triton kernel: norms, rotary positions, gates, pages.

Written with separate operations, these move each activation several times and start some thirty kernels a layer. A step
of 300 rows at Llama-3.1-8B's shape spent a third of its time there. Every result is rounded where the separate
operations round, so that only sums differ, by their order.
"""

# mypy: disable-error-code="import-not-found,no-untyped-def,untyped-decorator,no-any-return"

from __future__ import annotations

import torch
import triton
import triton.language as tl

_GATES = 1024  # numbers that one program gates


def rms_norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Returns weight * states / sqrt(mean(states²) + epsilon), shaped like `states` (Zhang & Sennrich, 2019).

    Args:
        states: [..., width].
        weight: [width], of the same type.
        epsilon: keeps the divisor from zero.
    """
    width = states.shape[-1]
    flat = states.reshape(-1, width)
    out = torch.empty_like(flat)
    padded = triton.next_power_of_2(width)
    _norm[(len(flat),)](
        flat, weight, out, flat.stride(0), out.stride(0), epsilon, WIDTH=width, WIDTH_PAD=padded,
        num_warps=8 if padded >= 4096 else 4,
    )  # fmt: skip
    return out.view(states.shape)


def silu_gate(gate: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Returns silu(gate) * value, of two tensors of one shape and type."""
    gate, value = gate.contiguous(), value.contiguous()
    out = torch.empty_like(gate)
    _gate[(triton.cdiv(gate.numel(), _GATES),)](gate, value, out, gate.numel(), BLOCK=_GATES)
    return out


def rotate(
    query: torch.Tensor, key: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns query and key turned by their positions' angles, halves together as Llama does it (Su et al., 2021).

    Args:
        query: [rows, heads, tokens, width]; the last dimension is contiguous.
        key: [rows, key-value heads, tokens, width], likewise.
        cosine, sine: [rows or 1, tokens, width], of the same type.
    """
    rows, heads, tokens, width = query.shape
    shared = key.shape[1]
    turned, turned_key = torch.empty_like(query), torch.empty_like(key)
    cosine, sine = (part.expand(rows, -1, -1) for part in (cosine, sine))
    _rotate[(rows, tokens)](
        query, key, cosine, sine, turned, turned_key,
        *query.stride()[:3], *key.stride()[:3], *turned.stride()[:3], *turned_key.stride()[:3],
        *cosine.stride()[:2], *sine.stride()[:2],
        HEADS=heads, HEADS_PAD=triton.next_power_of_2(heads), SHARED=shared,
        SHARED_PAD=triton.next_power_of_2(shared), HALF=width // 2, HALF_PAD=triton.next_power_of_2(width // 2),
        num_warps=4,
    )  # fmt: skip
    return turned, turned_key


def write_pages(
    keys: torch.Tensor,
    values: torch.Tensor,
    new_keys: torch.Tensor,
    new_values: torch.Tensor,
    page: torch.Tensor,
    place: torch.Tensor,
) -> None:
    """Writes one new position per row into its page.

    Args:
        keys, values: [pages, heads, positions of a page, width].
        new_keys, new_values: [rows, heads, 1, width]; the last dimension is contiguous.
        page, place: [rows]; the page of each row and the position in it.
    """
    for pages, new in ((keys, new_keys), (values, new_values)):
        rows, heads, _, width = new.shape
        _write[(rows,)](
            pages, new, page, place, *pages.stride()[:3], *new.stride()[:2], HEADS=heads,
            HEADS_PAD=triton.next_power_of_2(heads), WIDTH=width, WIDTH_PAD=triton.next_power_of_2(width),
        )  # fmt: skip


@triton.jit
def _norm(states, weight, out, states_row, out_row, epsilon, WIDTH: tl.constexpr, WIDTH_PAD: tl.constexpr):
    """One program: one row."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, WIDTH_PAD)
    inside = at < WIDTH
    found = tl.load(states + row * states_row + at, mask=inside, other=0.0)
    wide = found.to(tl.float32)
    factor = tl.rsqrt(tl.sum(wide * wide, 0) / WIDTH + epsilon)
    normed = (wide * factor).to(found.dtype).to(tl.float32)
    scale = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * out_row + at, (scale * normed).to(found.dtype), mask=inside)


@triton.jit
def _gate(gate, value, out, count, BLOCK: tl.constexpr):
    """One program: a part of all numbers."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    found = tl.load(gate + at, mask=inside, other=0.0)
    wide = found.to(tl.float32)
    opened = (wide / (1.0 + tl.exp(-wide))).to(found.dtype).to(tl.float32)
    through = tl.load(value + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (opened * through).to(found.dtype), mask=inside)


@triton.jit
def _rotate(
    query, key, cosine, sine, turned, turned_key, query_row, query_head, query_token, key_row, key_head, key_token,
    turned_row, turned_head, turned_token, turned_key_row, turned_key_head, turned_key_token, cosine_row, cosine_token,
    sine_row, sine_token,
    HEADS: tl.constexpr, HEADS_PAD: tl.constexpr, SHARED: tl.constexpr, SHARED_PAD: tl.constexpr, HALF: tl.constexpr,
    HALF_PAD: tl.constexpr,
):  # fmt: skip
    """One program: all heads of one token."""
    row, token = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    at = tl.arange(0, HALF_PAD)
    inside = at < HALF
    cosine += row * cosine_row + token * cosine_token
    sine += row * sine_row + token * sine_token
    first_cosine = tl.load(cosine + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    second_cosine = tl.load(cosine + HALF + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    first_sine = tl.load(sine + at, mask=inside, other=0.0).to(tl.float32)[None, :]
    second_sine = tl.load(sine + HALF + at, mask=inside, other=0.0).to(tl.float32)[None, :]

    heads = tl.arange(0, HEADS_PAD)
    seen = (heads < HEADS)[:, None] & inside[None, :]
    places = query + row * query_row + token * query_token + heads[:, None] * query_head + at[None, :]
    stored = turned + row * turned_row + token * turned_token + heads[:, None] * turned_head + at[None, :]
    _turn(places, stored, seen, first_cosine, second_cosine, first_sine, second_sine, HALF)

    heads = tl.arange(0, SHARED_PAD)
    seen = (heads < SHARED)[:, None] & inside[None, :]
    places = key + row * key_row + token * key_token + heads[:, None] * key_head + at[None, :]
    stored = turned_key + row * turned_key_row + token * turned_key_token + heads[:, None] * turned_key_head
    _turn(places, stored + at[None, :], seen, first_cosine, second_cosine, first_sine, second_sine, HALF)


@triton.jit
def _turn(places, stored, seen, first_cosine, second_cosine, first_sine, second_sine, HALF: tl.constexpr):
    """Turns heads, [heads, half of the width] each at `places` and `HALF` behind them."""
    first = tl.load(places, mask=seen, other=0.0)
    second = tl.load(places + HALF, mask=seen, other=0.0)
    kind = first.dtype
    one, two = first.to(tl.float32), second.to(tl.float32)
    left = (one * first_cosine).to(kind).to(tl.float32) - (two * first_sine).to(kind).to(tl.float32)
    right = (two * second_cosine).to(kind).to(tl.float32) + (one * second_sine).to(kind).to(tl.float32)
    tl.store(stored, left.to(kind), mask=seen)
    tl.store(stored + HALF, right.to(kind), mask=seen)


@triton.jit
def _write(
    pages, new, page, place, pages_page, pages_head, pages_place, new_row, new_head, HEADS: tl.constexpr,
    HEADS_PAD: tl.constexpr, WIDTH: tl.constexpr, WIDTH_PAD: tl.constexpr,
):  # fmt: skip
    """One program: all heads of one row."""
    row = tl.program_id(0).to(tl.int64)
    heads, at = tl.arange(0, HEADS_PAD), tl.arange(0, WIDTH_PAD)
    seen = (heads < HEADS)[:, None] & (at < WIDTH)[None, :]
    found = tl.load(new + row * new_row + heads[:, None] * new_head + at[None, :], mask=seen, other=0.0)
    pages += tl.load(page + row).to(tl.int64) * pages_page + tl.load(place + row).to(tl.int64) * pages_place
    tl.store(pages + heads[:, None] * pages_head + at[None, :], found, mask=seen)
