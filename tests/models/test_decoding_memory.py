"""The free memory of a GPU is divided into parts that fit into it, whatever the model and the setting."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, LlamaConfig

from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers import engine as engine_module
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.models.sizes.decoding_memory import (
    IDLE_PART,
    LOGITS_PART,
    MOST_ROWS,
    PREFILLED,
    TextBytes,
    divided,
    running_rows,
    whole_rows,
)

SHAPES = st.builds(TextBytes, st.floats(1e3, 1e6), st.floats(1e3, 1e6), st.integers(100, 300_000))


@given(st.floats(1e8, 1e12), SHAPES, st.sampled_from(["auto", 1, 64, 1024]), st.integers(1, 5000))
def test_the_parts_fit_into_what_is_free(free: float, each: TextBytes, rows: int | str, texts: int) -> None:
    parts = divided(free, each, rows, texts)  # type: ignore[arg-type]
    assert 1 <= parts.rows <= texts and 1 <= parts.prefilled <= PREFILLED
    taken = parts.pages + parts.prefilled * (each.position + each.read) + parts.rows * each.logits
    assert parts.pages == 0 or taken <= (1 - IDLE_PART) * free * (1 + 1e-9)
    if rows == "auto":
        assert parts.rows <= MOST_ROWS and (parts.rows == 1 or parts.rows * each.logits <= LOGITS_PART * free)
        assert parts.pages >= 0.6 * free
    else:
        assert parts.rows == min(int(rows), texts)
    for prompt, length in ((10, 50), (1000, 2000)):
        assert 1 <= running_rows(parts, each, prompt, length) <= parts.rows
        assert 1 <= whole_rows(parts, each, prompt + length, 0.0) <= parts.rows


@given(st.floats(0, 1e12), SHAPES)
def test_more_memory_holds_no_fewer_texts(free: float, each: TextBytes) -> None:
    less, more = (divided(some, each, "auto", 5000) for some in (free, 1.5 * free + 1e9))
    assert less.rows <= more.rows and less.prefilled <= more.prefilled
    assert running_rows(less, each, 100, 300) <= running_rows(more, each, 100, 300)


@pytest.mark.parametrize("kernel", [True, False])
def test_an_engine_takes_what_is_free_and_halves_it(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=3000, num_key_value_heads=2, **sizes))
    tried = TransformersEngine(model, 0, batch_size="auto", device="cpu")
    requests = [Request((1, 2, 3), 0, 2000, ())] * 500
    assert tried._divided(requests) is None and tried._rows() == 64
    tried._device, tried._kernel = "cuda", kernel
    monkeypatch.setattr(engine_module, "free_gpu_bytes", lambda _: 64e6)
    memory = tried._divided(requests)
    assert memory is not None
    each = TextBytes(2 * 2 * 32 * 4, 2 * (3 * 96 + 4 * 64) * 2, 3000)  # in float32
    assert memory == divided(64e6, each, "auto", 500)
    rows = tried._rows()
    assert rows == memory.rows if kernel else 1 < rows < memory.rows
    monkeypatch.setattr(engine_module, "free_gpu_bytes", lambda _: 640e6)
    tried._divided(requests)
    assert tried._rows() > rows
    larger = tried._rows()
    tried._halve(torch.OutOfMemoryError("too much"))
    assert tried.batch_size == larger // 2
    tried._divided(requests)
    assert tried._rows() == larger // 2  # permanently
