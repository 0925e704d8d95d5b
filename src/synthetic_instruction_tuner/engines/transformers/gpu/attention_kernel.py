"""Attention of one new token per row over a cache in pages, as a Triton kernel that reads each row's own part alone.

A step of decoding is bound by memory: keys and values of all running rows are read once, whatever is computed with
them. Attention with a mask reads every row up to the longest one's end. This kernel reads a row from its first to its
last visible position, and reads keys and values once for all query heads that share them. Long rows are split into
parts, as in Flash-Decoding (Dao et al., 2023), so that few rows keep a whole GPU busy.
"""

# mypy: disable-error-code="import-not-found,no-untyped-def,untyped-decorator,no-any-return"

from __future__ import annotations

import torch
import triton
import triton.language as tl

_BUSY = 4  # programs per multiprocessor that keep a GPU's memory busy
_SHORTEST_PART = 256
_MOST_PARTS = 16


def decode_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, table: torch.Tensor, span: torch.Tensor, scale: float
) -> torch.Tensor:
    """Returns softmax(query · key * scale) · value over each row's visible positions, [rows, heads, value width].

    Args:
        query: [rows, heads, 1, width].
        key: [pages, key-value heads, positions of a page, width]; the positions of a page are a power of two.
        value: [pages, key-value heads, positions of a page, value width].
        table: [rows or more, pages of a row], int32; the pages of each row, in order.
        span: [rows, 2], int32; the first visible position of each row and the last, which is at least the first.
        scale: factor of the scores.
    """
    rows, heads, _, width = query.shape
    shared, block, value_width = key.shape[1], key.shape[2], value.shape[3]
    positions = table.shape[1] * block
    group = heads // shared
    parts = _parts(rows * shared, positions, query.device)
    length = triton.cdiv(table.shape[1], parts) * block
    stages = 3 if max(width, value_width) * query.element_size() <= 256 else 1  # wider ones do not fit in shared memory
    out = query.new_empty(rows, heads, value_width)
    partial = query.new_empty((parts, rows, heads, value_width) if parts > 1 else (1,), dtype=torch.float32)
    total = query.new_empty((parts, rows, heads) if parts > 1 else (1,), dtype=torch.float32)
    _attend[(rows * shared, parts)](
        query, key, value, table, span, out, partial, total,
        scale * 1.4426950408889634,  # log2(e): powers of two are what the hardware computes
        query.stride(0), query.stride(1), key.stride(0), key.stride(1), key.stride(2),
        value.stride(0), value.stride(1), value.stride(2), table.stride(0), span.stride(0),
        rows, SHARED=shared, GROUP=group, GROUP_PAD=max(16, triton.next_power_of_2(group)), WIDTH=width,
        WIDTH_PAD=max(16, triton.next_power_of_2(width)), VALUE=value_width,
        VALUE_PAD=max(16, triton.next_power_of_2(value_width)), LENGTH=length, BLOCK=block, SPLIT=parts > 1,
        PRECISION="ieee" if query.dtype == torch.float32 else "tf32", num_warps=4, num_stages=stages,
    )  # fmt: skip
    if parts > 1:
        _combine[(rows * heads,)](
            partial, total, out, rows * heads, PARTS=parts, PARTS_PAD=triton.next_power_of_2(parts), VALUE=value_width,
            VALUE_PAD=triton.next_power_of_2(value_width),
        )  # fmt: skip
    return out


def _parts(programs: int, positions: int, device: torch.device) -> int:
    """Returns into how many parts to split rows, so that the GPU is busy and the parts are not too short."""
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    wanted = triton.cdiv(_BUSY * processors, programs)
    return max(1, min(int(wanted), positions // _SHORTEST_PART, _MOST_PARTS))


@triton.jit
def _attend(
    query, key, value, table, span, out, partial, total, scale, query_row, query_head, key_page, key_head,
    key_position, value_page, value_head, value_position, table_row, span_row, rows,
    SHARED: tl.constexpr, GROUP: tl.constexpr, GROUP_PAD: tl.constexpr, WIDTH: tl.constexpr, WIDTH_PAD: tl.constexpr,
    VALUE: tl.constexpr, VALUE_PAD: tl.constexpr, LENGTH: tl.constexpr, BLOCK: tl.constexpr, SPLIT: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One program: the query heads of one key-value head of one row, over one part of the row."""
    row, head, part = (tl.program_id(0) // SHARED).to(tl.int64), tl.program_id(0) % SHARED, tl.program_id(1)
    first, last = tl.load(span + row * span_row), tl.load(span + row * span_row + 1)
    start, end = tl.maximum(part * LENGTH, first // BLOCK * BLOCK), tl.minimum(part * LENGTH + LENGTH, last + 1)
    members, width, value_width = tl.arange(0, GROUP_PAD), tl.arange(0, WIDTH_PAD), tl.arange(0, VALUE_PAD)
    heads = head * GROUP + members
    queries = tl.load(
        query + row * query_row + heads[:, None] * query_head + width[None, :],
        mask=(members < GROUP)[:, None] & (width < WIDTH)[None, :],
        other=0.0,
    )
    key += head * key_head
    value += head * value_head
    table += row * table_row
    offsets = tl.arange(0, BLOCK)
    highest = tl.full([GROUP_PAD], float("-inf"), tl.float32)
    weight = tl.zeros([GROUP_PAD], tl.float32)
    sums = tl.zeros([GROUP_PAD, VALUE_PAD], tl.float32)
    for at in range(start, end, BLOCK):
        page = tl.load(table + at // BLOCK).to(tl.int64)
        places = at + offsets
        seen = (places >= first) & (places < end)
        keys = tl.load(
            key + page * key_page + offsets[None, :] * key_position + width[:, None],
            mask=seen[None, :] & (width < WIDTH)[:, None],
            other=0.0,
        )
        scores = tl.dot(queries, keys, input_precision=PRECISION) * scale
        scores = tl.where(seen[None, :], scores, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1))
        kept = tl.exp2(highest - higher)
        powers = tl.exp2(scores - higher[:, None])
        values = tl.load(
            value + page * value_page + offsets[:, None] * value_position + value_width[None, :],
            mask=seen[:, None] & (value_width < VALUE)[None, :],
            other=0.0,
        )
        sums = sums * kept[:, None] + tl.dot(powers.to(values.dtype), values, input_precision=PRECISION)
        weight = weight * kept + tl.sum(powers, 1)
        highest = higher
    place = row * (SHARED * GROUP) + heads
    stored = (members < GROUP)[:, None] & (value_width < VALUE)[None, :]
    if SPLIT:
        place += part.to(tl.int64) * rows * (SHARED * GROUP)
        empty = weight == 0.0  # this part of the row has no visible position
        divisor = tl.where(empty, 1.0, weight)
        tl.store(partial + place[:, None] * VALUE + value_width[None, :], sums / divisor[:, None], mask=stored)
        logs = tl.where(empty, float("-inf"), highest + tl.log2(divisor))
        tl.store(total + place, logs, mask=members < GROUP)
    else:
        result = (sums / weight[:, None]).to(out.dtype.element_ty)
        tl.store(out + place[:, None] * VALUE + value_width[None, :], result, mask=stored)


@triton.jit
def _combine(
    partial, total, out, count, PARTS: tl.constexpr, PARTS_PAD: tl.constexpr, VALUE: tl.constexpr,
    VALUE_PAD: tl.constexpr,
):  # fmt: skip
    """One program: the weighted mean of the parts of one row's query head."""
    place = tl.program_id(0).to(tl.int64)
    parts, width = tl.arange(0, PARTS_PAD), tl.arange(0, VALUE_PAD)
    logs = tl.load(total + parts * count + place, mask=parts < PARTS, other=float("-inf"))
    weights = tl.exp2(logs - tl.max(logs, 0))
    values = tl.load(
        partial + (parts[:, None] * count + place) * VALUE + width[None, :],
        mask=(parts < PARTS)[:, None] & (width < VALUE)[None, :],
        other=0.0,
    )
    result = tl.sum(values * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(out + place * VALUE + width, result.to(out.dtype.element_ty), mask=width < VALUE)
