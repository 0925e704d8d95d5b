from __future__ import annotations

import pytest
import torch
from torch.nn import Linear, Parameter
from torch.nn.functional import rms_norm, silu

from synthetic_instruction_tuner.training.packed import recomputed_linears as module
from synthetic_instruction_tuner.training.packed.recomputed_linears import LoraLinear, linears


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("source_is_trained", [True, False])
def test_outputs_and_gradients_are_those_of_autograd(dropout: float, source_is_trained: bool) -> None:
    layers = [lora(12, 7, dropout), LoraLinear(frozen(12, 5)), lora(12, 9, dropout)]
    sources = [torch.randn(6, 12).requires_grad_(source_is_trained) for _ in range(2)]
    found = linears(gated_norm, sources, layers, seed=3)
    wanted = by_autograd(gated_norm, sources, layers, seed=3)
    weights = [torch.randn_like(y) for y in found]
    inputs = [x for x in (*sources, *matrices(layers)) if x.requires_grad]
    slopes = [
        torch.autograd.grad(sum((y * w).sum() for y, w in zip(ys, weights, strict=True)), inputs)
        for ys in (found, wanted)
    ]
    for one, other in [*zip(found, wanted, strict=True), *zip(*slopes, strict=True)]:
        assert torch.allclose(one, other, atol=1e-5)


def test_a_mask_comes_from_its_seed_alone_and_leaves_out_its_share() -> None:
    x = torch.ones(200, 100)
    one, scale = module._mask(x, 0.25, 1)
    again, _ = module._mask(x, 0.25, 1)
    other, _ = module._mask(x, 0.25, 2)
    assert one is not None and again is not None and other is not None
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert module._masked(x, one, scale).mean().item() == pytest.approx(1, abs=0.03)


def test_only_the_sources_are_kept_for_the_backward_pass() -> None:
    kept: list[tuple[int, ...]] = []
    sources = [torch.randn(6, 12).requires_grad_() for _ in range(2)]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(tuple(t.shape)), t)[1], lambda t: t):
        linears(gated_norm, sources, [lora(12, 7, 0.4), lora(12, 9, 0.4)], seed=3)
    assert kept == [(6, 12), (6, 12)]


def gated_norm(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return rms_norm(silu(gate) * up, (12,))


def frozen(inputs: int, outputs: int) -> Linear:
    return Linear(inputs, outputs).requires_grad_(False)


def lora(inputs: int, outputs: int, dropout: float) -> LoraLinear:
    down, up = Parameter(torch.randn(3, inputs)), Parameter(torch.randn(outputs, 3))
    return LoraLinear(frozen(inputs, outputs), down, up, 1.5, dropout)


def matrices(layers: list[LoraLinear]) -> list[Parameter]:
    return [m for layer in layers for m in (layer.down, layer.up) if m is not None]


def by_autograd(before: object, sources: list[torch.Tensor], layers: list[LoraLinear], seed: int) -> list[torch.Tensor]:
    x = before(*sources)  # type: ignore[operator]
    mask, scale = module._mask(x, layers[0].dropout, seed)
    dropped = x if mask is None else x * mask * scale
    outputs = []
    for layer in layers:
        y = layer.layer(x)
        outputs.append(y if layer.down is None else y + dropped @ layer.down.T @ layer.up.T * layer.scale)
    return outputs
