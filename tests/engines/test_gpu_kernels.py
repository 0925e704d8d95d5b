"""The kernels of decoding against plain PyTorch. They need a GPU and Triton."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from synthetic_instruction_tuner.engines.transformers.sampling import draw

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or find_spec("triton") is None, reason="needs a GPU and Triton"
)

SHAPES = [  # rows, heads, key-value heads, width, value width, positions
    (5, 32, 8, 128, 128, 700),
    (3, 8, 8, 64, 64, 64),
    (200, 14, 2, 64, 64, 333),
    (2, 4, 1, 96, 80, 5000),
    (1, 32, 4, 80, 80, 4096),
    (17, 16, 16, 256, 256, 130),
]
ROUNDING = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


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
    query = torch.randn(rows, 1, heads, width, device="cuda", dtype=dtype).transpose(1, 2)
    keys = torch.randn(rows, shared, positions, width, device="cuda", dtype=dtype)
    values = torch.randn(rows, shared, positions, value_width, device="cuda", dtype=dtype)
    last = torch.randint(0, positions, (rows,), device="cuda")
    first = (last - torch.randint(0, positions, (rows,), device="cuda")).clamp(min=0)
    order = (torch.randperm(rows * -(-positions // 64), device="cuda") + 1).view(rows, -1).int()
    span = torch.stack([first, last], -1).int()
    got = decode_attention(query, in_pages(keys, order), in_pages(values, order), order, span, width**-0.5)

    places = torch.arange(positions, device="cuda")
    seen = (places >= first[:, None]) & (places <= last[:, None])
    group = heads // shared
    scores = query.float() @ keys.float().repeat_interleave(group, 1).transpose(2, 3) * width**-0.5
    weights = scores.masked_fill(~seen[:, None, None], float("-inf")).softmax(-1)
    want = (weights @ values.float().repeat_interleave(group, 1))[:, :, 0]
    torch.testing.assert_close(got.float(), want, atol=ROUNDING[dtype], rtol=0)


@pytest.mark.parametrize("vocabulary", [97, 2048, 2049, 128256])
def test_sampling_draws_what_the_cumulative_distribution_says(vocabulary: int) -> None:
    from synthetic_instruction_tuner.engines.transformers.gpu.sampling_kernel import draw_on_gpu

    torch.manual_seed(0)
    logits = 3 * torch.randn(300, vocabulary, device="cuda")
    logits[:, : vocabulary // 3] = float("-inf")
    uniform = torch.rand(300, device="cuda").clamp(1e-4, 1 - 1e-4)
    temperature = torch.linspace(0, 2, 300, device="cuda")
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
