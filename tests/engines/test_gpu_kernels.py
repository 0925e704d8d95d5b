"""The kernels of decoding against plain PyTorch, and the engine that decodes with them against the one without.

They need Triton, and a GPU or its interpreter: `TRITON_INTERPRET=1 pytest tests/engines/test_gpu_kernels.py` runs them
on a CPU, slowly, without bfloat16 (the interpreter multiplies it wrongly) and without CUDA graphs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, CohereConfig, GemmaConfig, LlamaConfig, MistralConfig, Qwen2Config

from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers import decode_steps, engine
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.sampling import draw
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
pytestmark = pytest.mark.skipif(
    find_spec("triton") is None or not (INTERPRETED or DEVICE == "cuda"), reason="needs Triton and a GPU"
)

SHAPES = [  # rows, heads, key-value heads, width, value width, positions
    (5, 32, 8, 128, 128, 700),
    (3, 8, 8, 64, 64, 64),
    (200, 14, 2, 64, 64, 333),
    (2, 4, 1, 96, 80, 5000),
    (1, 32, 4, 80, 80, 4096),
    (17, 16, 16, 256, 256, 130),
]
SMALL = [(5, 8, 2, 32, 32, 200), (3, 4, 4, 16, 16, 64), (2, 4, 1, 24, 20, 600)]
ROUNDING = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
if INTERPRETED:
    SHAPES, ROUNDING = SMALL, {torch.float32: 1e-5, torch.float16: 2e-3}
MODELS: list[Callable[..., Any]] = [
    lambda **sizes: LlamaConfig(num_key_value_heads=2, **sizes),
    lambda **sizes: Qwen2Config(num_key_value_heads=1, **sizes),
    lambda **sizes: MistralConfig(num_key_value_heads=2, sliding_window=8, **sizes),
]


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the interpreter what a GPU says of itself; a graph's step is done as it is."""
    if DEVICE == "cuda":
        return
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(multi_processor_count=2))
    monkeypatch.setattr(decode_steps, "StepGraphs", lambda: SimpleNamespace(run=lambda _, step: step()))
    monkeypatch.setattr(engine, "has_kernel", lambda *_: True)


def in_pages(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Returns [pages, heads, 64, width] in which row r's page p is page `order`[r, p]; the rest is not a number."""
    rows, heads, positions, width = values.shape
    pages = order.shape[1]
    padded = values.new_full((rows, heads, pages * 64, width), float("nan"))
    padded[:, :, :positions] = values
    pool = values.new_full((rows * pages + 1, heads, 64, width), float("nan"))
    pool[order.flatten().long()] = padded.unflatten(2, (pages, 64)).transpose(1, 2).flatten(0, 1)
    return pool


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_reads_each_row_from_its_first_to_its_last_position(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    from synthetic_instruction_tuner.engines.transformers.gpu.attention_kernel import decode_attention

    rows, heads, shared, width, value_width, positions = shape
    torch.manual_seed(0)
    query = torch.randn(rows, 1, heads, width, device=DEVICE, dtype=dtype).transpose(1, 2)
    keys = torch.randn(rows, shared, positions, width, device=DEVICE, dtype=dtype)
    values = torch.randn(rows, shared, positions, value_width, device=DEVICE, dtype=dtype)
    last = torch.randint(0, positions, (rows,), device=DEVICE)
    first = (last - torch.randint(0, positions, (rows,), device=DEVICE)).clamp(min=0)
    order = (torch.randperm(rows * -(-positions // 64), device=DEVICE) + 1).view(rows, -1).int()
    span = torch.stack([first, last], -1).int()
    got = decode_attention(query, in_pages(keys, order), in_pages(values, order), order, span, width**-0.5)

    places = torch.arange(positions, device=DEVICE)
    seen = (places >= first[:, None]) & (places <= last[:, None])
    group = heads // shared
    scores = query.float() @ keys.float().repeat_interleave(group, 1).transpose(2, 3) * width**-0.5
    weights = scores.masked_fill(~seen[:, None, None], float("-inf")).softmax(-1)
    want = (weights @ values.float().repeat_interleave(group, 1))[:, :, 0]
    torch.testing.assert_close(got.float(), want, atol=ROUNDING[dtype], rtol=0)


@pytest.mark.parametrize("vocabulary", [97, 2049] if INTERPRETED else [97, 2048, 2049, 128256])
def test_sampling_draws_what_the_cumulative_distribution_says(vocabulary: int) -> None:
    from synthetic_instruction_tuner.engines.transformers.gpu.sampling_kernel import draw_on_gpu

    torch.manual_seed(0)
    logits = 3 * torch.randn(300, vocabulary, device=DEVICE)
    logits[:, : vocabulary // 3] = float("-inf")
    uniform = torch.rand(300, device=DEVICE).clamp(1e-4, 1 - 1e-4)
    temperature = torch.linspace(0, 2, 300, device=DEVICE)
    got = draw_on_gpu(logits, uniform, temperature)
    assert torch.equal(got[0], logits[0].argmax())
    # In exact arithmetic the cumulative weight before the token is below the drawn share, and with it is not.
    shares = (logits.double() / temperature.clamp(min=1e-30)[:, None].double()).softmax(-1).cumsum(-1)
    after = shares.gather(1, got[:, None])[1:, 0]
    before = shares.gather(1, (got[:, None] - 1).clamp(min=0))[1:, 0]
    assert bool((before <= uniform[1:] + 1e-5).all())
    assert bool((after >= uniform[1:] - 1e-5).all())
    assert bool((logits.gather(1, got[:, None]) > float("-inf")).all())
    assert (got == draw(logits, uniform, temperature, None)).float().mean() > 0.95
    assert torch.equal(draw_on_gpu(logits, uniform, None), logits.argmax(-1))


LAYERS: dict[str, Callable[..., Any]] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
    "gemma": lambda **sizes: GemmaConfig(head_dim=16, hidden_act="gelu_pytorch_tanh", **sizes),
    "cohere": CohereConfig,
}
SERVED = {"llama": 2 * 3 + 1 + 1, "qwen2": 2 * 3 + 1 + 1, "gemma": 1, "cohere": 2}  # norms and MLPs, and the rotation


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_computed_with_kernels_give_what_they_give_without(kind: str, dtype: torch.dtype) -> None:
    """Gemma's norms and gates and Cohere's norms and rotation have formulas of their own, and stay as they are."""
    from synthetic_instruction_tuner.engines.transformers.gpu.fused_layers import FusedLayers

    torch.manual_seed(0)
    sizes = {"hidden_size": 80, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 5}
    config = LAYERS[kind](vocab_size=300, num_key_value_heads=1, pad_token_id=0, **sizes)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).to(DEVICE).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # norms begin with ones
    ids = torch.randint(0, 300, (3, 11), device=DEVICE)
    own = {name: vars(module).copy() for name, module in model.named_modules()}
    fused = FusedLayers(model)
    assert fused.count == SERVED[kind]
    with torch.inference_mode():
        wanted = model(ids).logits.float()
        with fused.active():
            got = model(ids).logits.float()
    error = (got - wanted).pow(2).mean().sqrt() / wanted.std()
    assert error <= 3 * ROUNDING[dtype]
    assert {name: vars(module) for name, module in model.named_modules()} == own


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize(("heads", "shared", "width"), [(4, 2, 16), (5, 1, 24), (3, 3, 80)])
def test_rotation_takes_any_strides_and_one_row_of_angles_for_all(
    heads: int, shared: int, width: int, dtype: torch.dtype
) -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import rotate

    torch.manual_seed(0)
    both = torch.randn(2, 7, (heads + shared) * width, device=DEVICE, dtype=dtype)
    query, key = both.split([heads * width, shared * width], -1)
    query, key = query.unflatten(-1, (heads, width)).transpose(1, 2), key.unflatten(-1, (shared, width)).transpose(1, 2)
    for rows in (1, 2):
        cosine, sine = torch.randn(2, rows, 7, width, device=DEVICE, dtype=dtype)
        for got, wanted in zip(
            rotate(query, key, cosine, sine), apply_rotary_pos_emb(query, key, cosine, sine), strict=True
        ):
            assert got.shape == wanted.shape
            torch.testing.assert_close(got, wanted, atol=ROUNDING[dtype], rtol=ROUNDING[dtype])


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_with_kernels_writes_what_one_without_writes(
    model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    loaded = AutoModelForCausalLM.from_config(model(vocab_size=3000, max_position_embeddings=512, **sizes))
    loaded = loaded.to(DEVICE)
    asked = [(3, 1, 9, 1.0), (70, 2, 6, 0.7), (5, 3, 12, 0.0), (3, 1, 9, 1.0), (20, 5, 3, 1.3), (64, 6, 5, 0.5)]
    requests = [Request(tuple(range(5, 5 + n)), seed, most, (7,), heat) for n, seed, most, heat in asked]
    fast = TransformersEngine(loaded, 0, batch_size=3, device=DEVICE)
    written = fast.generate(requests)
    assert fast.decoder is SlotDecoder
    assert fast._kernel  # the trial took it
    monkeypatch.setattr(engine, "has_kernel", lambda *_: False)
    assert TransformersEngine(loaded, 0, batch_size=3, device=DEVICE).generate(requests) == written
