from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Dropout, Linear, Parameter
from torch.nn.functional import rms_norm, silu

from synthetic_instruction_tuner.training.packed.kernels import Gated, Norm, Same, dropout_mask, masked, turned
from synthetic_instruction_tuner.training.packed.recomputed_linears import LoraLinears, copy_adapters

WEIGHT = torch.linspace(0.5, 2, 12)
BEFORE: dict[str, tuple[Any, Any, int]] = {
    "same": (Same(), lambda x: x, 1),
    "gated": (Gated(), lambda gate, up: silu(gate) * up, 2),
    "norm": (Norm(WEIGHT, 1e-5), lambda x: rms_norm(x, (12,), WEIGHT, 1e-5), 1),
}


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("trained", [True, False], ids=["trained", "frozen"])
def test_outputs_and_gradients_are_those_of_autograd(name: str, share: float, trained: bool) -> None:
    torch.manual_seed(0)
    before, plain, count = BEFORE[name]
    group = linears(share)
    kept = [torch.randn(6, 12).requires_grad_(trained) for _ in range(count)]
    found, wanted = group(before, kept, 3), by_autograd(plain, kept, group, 3)
    weights = [torch.randn_like(y) for y in found]
    inputs = [x for x in (*kept, *(m for pair in group.pairs for m in pair)) if x.requires_grad]
    slopes = [
        torch.autograd.grad(torch.stack([(y * w).sum() for y, w in zip(ys, weights, strict=True)]).sum(), inputs)
        for ys in (found, wanted)
    ]
    for one, other in [*zip(found, wanted, strict=True), *zip(*slopes, strict=True)]:
        assert torch.allclose(one, other, atol=1e-4)


def test_a_mask_comes_from_its_seed_alone_and_leaves_out_its_share() -> None:
    x = torch.ones(200, 100)
    one, again, other = (dropout_mask(x, 0.25, seed) for seed in (1, 1, 2))
    assert one is not None and again is not None and other is not None
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert masked(x, one, 0.25).mean().item() == pytest.approx(1, abs=0.03)


def test_only_what_the_input_is_computed_from_is_kept() -> None:
    kept: list[tuple[int, ...]] = []
    sources = [torch.randn(6, 12).requires_grad_() for _ in range(2)]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(tuple(t.shape)), t)[1], lambda t: t):
        linears(0.4)(Gated(), sources, 3)
    assert kept == [(6, 12), (6, 12)]


def test_copies_follow_the_weights() -> None:
    group = linears(0.0)
    x = torch.randn(6, 12)
    with torch.no_grad():
        before = group(Same(), (x,), 0)[0]
        group.pairs[0][1].mul_(3)
        copy_adapters([group])
        after = group(Same(), (x,), 0)[0]
    plain = group.layers[0](x)
    assert torch.allclose(after - plain, (before - plain) * 3, atol=1e-4)


def test_turning_is_the_rotary_embedding_of_transformers() -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    torch.manual_seed(0)
    q, k = torch.randn(7, 3, 8).requires_grad_(), torch.randn(7, 2, 8)
    angles = torch.randn(7, 4).repeat(1, 2)
    cos, sin = angles.cos(), angles.sin()
    wanted = [
        x[0].transpose(0, 1)
        for x in apply_rotary_pos_emb(*(x.transpose(0, 1)[None] for x in (q, k)), cos[None], sin[None])
    ]
    found = [turned(x, cos[:, None], sin[:, None]) for x in (q, k)]
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    weights = torch.randn_like(found[0])
    slopes = [torch.autograd.grad((x * weights).sum(), q)[0] for x in (found[0], wanted[0])]
    assert torch.allclose(*slopes, atol=1e-5)


def linears(share: float) -> LoraLinears:
    """Returns three linear layers on one input, the first and the last with LoRA."""
    layers = [Linear(12, outputs).requires_grad_(False) for outputs in (7, 5, 9)]
    pairs = [(Parameter(torch.randn(3, 12)), Parameter(torch.randn(outputs, 3))) for outputs in (7, 9)]
    group = LoraLinears(layers, [pairs[0], None, pairs[1]], [1.5, 1.0, 0.5], Dropout(share), torch.float32)
    copy_adapters([group])
    return group


def by_autograd(before: Any, kept: list[torch.Tensor], group: LoraLinears, seed: int) -> list[torch.Tensor]:
    x = before(*kept)
    dropped = masked(x, dropout_mask(x, group.share, seed), group.share)
    outputs = []
    for layer, pair, scale in zip(group.layers, group.adapted, group.scales, strict=True):
        outputs.append(layer(x) if pair is None else layer(x) + dropped @ pair[0].T @ pair[1].T * scale)
    return outputs
