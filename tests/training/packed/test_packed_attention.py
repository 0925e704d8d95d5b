from __future__ import annotations

from typing import Any

import pytest
import torch

from synthetic_instruction_tuner.training.packed import attention
from synthetic_instruction_tuner.training.packed.attention import attend, efficient, flash, kernel_for, text_by_text
from synthetic_instruction_tuner.training.packed.packs import Stretches

CPU = torch.device("cpu")


@pytest.mark.parametrize("window", [None, 1, 9, 100])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_text_by_text_is_masked_attention_over_the_row(window: int | None, key_heads: int) -> None:
    stretches = attention._trial(CPU)
    q, k, v = sides(key_heads)
    found = attend(text_by_text, q, k, v, stretches, 0.3, window)
    assert torch.allclose(found, masked(q, k, v, stretches, 0.3, window), atol=1e-5)


@pytest.mark.parametrize("kernel", [flash, efficient], ids=["flash", "efficient"])
@pytest.mark.parametrize("window", [None, 9])
def test_a_gpus_kernels_are_masked_attention_over_the_row(kernel: Any, window: int | None) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    stretches = attention._trial(torch.device("cuda"))
    q, k, v = (x.cuda().half() for x in sides(2))
    try:
        found = attend(kernel, q, k, v, stretches, 0.3, window)
    except RuntimeError as error:
        pytest.skip(f"not on this GPU: {error}")
    wanted = masked(*(x.float().cpu() for x in (q, k, v)), attention._trial(CPU), 0.3, window)
    assert torch.allclose(found.float().cpu(), wanted, atol=1e-2)


def test_a_kernel_counts_only_if_it_agrees() -> None:
    def crossing(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, s: Stretches, scale: float, w: int | None) -> Any:
        whole = Stretches((len(q),), (len(k),), None, s.query_ends, s.key_ends)
        return text_by_text(q, k, v, whole, scale, w)

    def windowless(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, s: Stretches, scale: float, w: int | None) -> Any:
        return text_by_text(q, k, v, s, scale, None)

    def missing(*_: Any) -> Any:
        raise NotImplementedError("no such kernel")

    def agrees(kernel: Any, window: int | None = None) -> bool:
        return attention._agrees(kernel, CPU, torch.float32, 4, 2, 8, window)

    assert agrees(text_by_text) and agrees(text_by_text, 20)
    assert not agrees(crossing) and not agrees(missing)
    assert agrees(windowless) and not agrees(windowless, 20)


def test_a_cpu_takes_torchs_own_attention() -> None:
    assert kernel_for(CPU, torch.float32, 4, 2, 8, None) is text_by_text


def sides(key_heads: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    length = sum(attention._trial(CPU).queries)
    return [torch.randn(length, heads, 8) for heads in (4, key_heads, key_heads)]


def masked(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, stretches: Stretches, scale: float, window: int | None
) -> torch.Tensor:
    """Returns attention by a mask over the whole row, made position by position."""
    seen = torch.zeros(len(q), len(q), dtype=torch.bool)
    assert stretches.key_rows is not None
    keys = stretches.key_rows.split(stretches.keys)
    own = torch.arange(len(q)).split(stretches.queries)
    for places, queries in zip(keys, own, strict=True):
        order = places.tolist()
        for query in queries.tolist():
            last = order.index(query) + 1
            seen[query, order[max(0, last - (window or last)) : last]] = True
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    weights = torch.einsum("qhd,khd->hqk", q, k) * scale
    return torch.einsum("hqk,khd->qhd", weights.masked_fill(~seen, -torch.inf).softmax(-1), v)
