"""Decoding from pages gives the same texts as decoding from slots, also when the pages run out.

The kernels need a GPU; here plain PyTorch stands for them, and steps are not recorded. `test_gpu_kernels` holds the
kernels to the same formulas.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transformers_engine import requests
from transformers import AutoModelForCausalLM, DynamicCache

from random_models import write_model
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers import decode_steps, slot_decoding
from synthetic_instruction_tuner.engines.transformers.admission import Admission, Growing
from synthetic_instruction_tuner.engines.transformers.gpu import paged_cache
from synthetic_instruction_tuner.engines.transformers.gpu.paged_cache import PAGE, PagedCache
from synthetic_instruction_tuner.engines.transformers.sampling import draw
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder
from synthetic_instruction_tuner.engines.transformers.trial import supports_slots
from synthetic_instruction_tuner.models.sizes.decoding_memory import Division

PACKAGE = "synthetic_instruction_tuner.engines.transformers.gpu"


def plain_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, table: torch.Tensor, span: torch.Tensor, scale: float
) -> torch.Tensor:
    """What the kernel computes."""
    rows, heads = query.shape[:2]
    keys, values = (
        pages[table[:rows].long()].transpose(1, 2).flatten(2, 3).repeat_interleave(heads // pages.shape[1], 1)
        for pages in (key, value)
    )
    places = torch.arange(keys.shape[2])
    seen = (places >= span[:, :1]) & (places <= span[:, 1:])
    scores = (query @ keys.transpose(2, 3) * scale).masked_fill(~seen[:, None, None], float("-inf"))
    return (scores.softmax(-1) @ values)[:, :, 0]


class Unrecorded:
    def run(self, kind: Hashable, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        return step()


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Puts plain PyTorch in the kernels' place; returns what sets how many pages the memory has room for."""
    attention, sampling = ModuleType("attention_kernel"), ModuleType("sampling_kernel")
    attention.decode_attention = plain_attention  # type: ignore[attr-defined]
    sampling.draw_on_gpu = lambda logits, uniform, temperature: draw(logits, uniform, temperature, None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.attention_kernel", attention)
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.sampling_kernel", sampling)
    monkeypatch.setattr(decode_steps, "StepGraphs", Unrecorded)

    def room(pages: int) -> None:
        monkeypatch.setattr(paged_cache, "_affordable", lambda *_: pages)

    room(1000)
    return room


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_model(tmp_path_factory.mktemp("paged") / request.param, request.param)
    window = {"sliding_window": 6} if request.param == "mistral" else {}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, **window).eval()


def decoded(
    model: Any, asked: list[Request], batch: int, soft: torch.Tensor | None = None, *, kernel: bool
) -> dict[int, Completion]:
    memory = Division(batch, 8192, 1.0) if kernel else None  # `without_gpu` says how many pages that is
    decoder = SlotDecoder(model, 0, batch, "cpu", soft, kernel=kernel, memory=memory)
    return {number: one for some in decoder.run(list(enumerate(asked))) for number, one in some.items()}


def all_that_can_begin(_: Admission, running: Growing, waiting: Growing, pages: int) -> int:
    """Admits what has pages now, however long it becomes."""
    free = pages - int((-(-(running.lengths + 1) // PAGE)).sum())
    fit = int((np.cumsum(-(-waiting.lengths // PAGE)) <= free).sum())
    return fit if len(running.left) else max(1, fit)


@pytest.mark.parametrize("virtual", [0, 5])
def test_pages_give_the_texts_of_slots(model: Any, without_gpu: Callable[[int], None], virtual: int) -> None:
    asked = requests(24)
    soft = torch.randn(virtual, model.config.hidden_size, dtype=torch.float64) if virtual else None
    assert decoded(model, asked, 5, soft, kernel=True) == decoded(model, asked, 5, soft, kernel=False)


def test_the_model_is_tried_with_the_kernel(model: Any, without_gpu: Callable[[int], None]) -> None:
    assert supports_slots(model, "cpu", kernel=True)
    wrong = sys.modules[f"{PACKAGE}.attention_kernel"]
    wrong.decode_attention = lambda *given: -100 * plain_attention(*given)  # type: ignore[attr-defined]
    assert not supports_slots(model, "cpu", kernel=True)
    assert supports_slots(model, "cpu")


def test_rows_without_pages_wait_and_go_on_where_they_were(
    model: Any, without_gpu: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_decoding.Admission, "room", all_that_can_begin)  # more than the pages can hold
    evicted: list[int] = []
    original = slot_decoding.RunningRows.evict

    def evict(rows: Any, count: int, cache: Any) -> Any:
        waiting = original(rows, count, cache)
        evicted.extend(len(one.written) for one in waiting)
        return waiting

    monkeypatch.setattr(slot_decoding.RunningRows, "evict", evict)
    asked = [Request(tuple(range(1, 50 + k)), k, 90 + k, (), 1.0) for k in range(8)]
    expected = decoded(model, asked, 8, kernel=False)
    without_gpu(9)
    assert decoded(model, asked, 8, kernel=True) == expected
    assert max(evicted) > 0


def test_a_text_that_no_memory_holds_is_out_of_memory(model: Any, without_gpu: Callable[[int], None]) -> None:
    without_gpu(2)
    with pytest.raises(torch.OutOfMemoryError):
        decoded(model, [Request((1, 2, 3), 0, 4 * PAGE, ())], 2, kernel=True)


def test_a_layer_that_changes_its_mask_is_noticed(
    model: Any, without_gpu: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = decode_steps.MaskMaker.spans
    monkeypatch.setattr(decode_steps.MaskMaker, "spans", lambda *given: own(*given).double())
    assert not supports_slots(model, "cpu", kernel=True)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["append", "extend", "keep"]), st.integers(0, 2**16)), max_size=25))
def test_pages_have_one_owner_and_hold_what_was_written(orders: list[tuple[str, int]]) -> None:
    """After any orders, each row reads back what was written for it, and no page is lost or has two owners."""
    like = DynamicCache()
    like.update(torch.zeros(1, 2, 1, 3), torch.zeros(1, 2, 1, 4), 0)
    pages = 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paged_cache, "_affordable", lambda *_: pages)
        cache = PagedCache(6, 5 * PAGE, 10_000, like, 1.0)
    keys: list[torch.Tensor] = []  # of each row, [heads, positions, width]
    for order, number in orders:
        rng = np.random.default_rng(number)
        if order == "append" and len(keys) < 6:
            lengths = [int(rng.integers(1, 3 * PAGE))]
            if -(-lengths[0] // PAGE) > len(cache._free):
                continue
            filled, new = DynamicCache(), torch.randn(2, 2, lengths[0] + 7, 3)
            filled.update(new, torch.randn(2, 2, lengths[0] + 7, 4), 0)
            cache.append(filled, [1], lengths)
            keys.append(new[1, :, : lengths[0]])
        elif order == "extend" and keys:
            wanted = np.array([k.shape[1] + 1 for k in keys])
            if cache.extend(wanted):
                continue
            positions = torch.tensor(wanted - 1)
            cache.step(positions, torch.arange(len(keys)))
            new = torch.randn(len(keys), 2, 1, 3)
            cache.update(new, torch.randn(len(keys), 2, 1, 4), 0)
            keys = [torch.cat([k, one], 1) for k, one in zip(keys, new, strict=True)]
        elif order == "keep":
            rows = [int(row) for row in rng.permutation(len(keys))[: rng.integers(0, len(keys) + 1)]]
            cache.keep(rows, 0)
            keys = [keys[row] for row in rows]
        owned = [page for own in cache._owned for page in own]
        assert sorted(owned + cache._free) == list(range(1, pages + 1))
        assert cache.table[len(keys) :].eq(0).all()
        for row, expected in enumerate(keys):
            read = cache._buffers[0][0][cache.table[row].long()].transpose(0, 1).flatten(1, 2)
            assert torch.equal(read[:, : expected.shape[1]], expected)
