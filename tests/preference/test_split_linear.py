"""Products in float32 from three in TF32: as exact as float32, on any values, without a GPU."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.preference.reward.split_linear import SplitLinear, first_bits, split_linears


def as_a_tensor_core_reads(values: torch.Tensor) -> torch.Tensor:
    return (values.view(torch.int32) & -(1 << 13)).view(torch.float32)


@given(st.integers(0, 2**32 - 1), st.integers(-30, 30))
@settings(max_examples=60, deadline=None)
def test_values_are_the_sum_of_both_parts(seed: int, power: int) -> None:
    values = torch.randn(64, generator=torch.Generator().manual_seed(seed)) * 2.0**power
    high = first_bits(values)
    assert torch.equal(high + (values - high), values)
    assert torch.equal(as_a_tensor_core_reads(high), high)
    assert ((values - high).abs() <= values.abs() * 2**-10).all()


@pytest.mark.parametrize("seed", range(4))
def test_three_products_of_what_a_tensor_core_reads_are_as_exact_as_float32(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    torch.manual_seed(seed)
    layer, inputs = torch.nn.Linear(256, 32), torch.randn(3, 5, 256) * 10
    right = torch.nn.functional.linear(inputs.double(), layer.weight.double(), layer.bias.double())
    plain = torch.nn.functional.linear

    def product(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return plain(as_a_tensor_core_reads(a).double(), as_a_tensor_core_reads(b).double(), bias.double())

    truncated = product(inputs, layer.weight.detach(), layer.bias)
    monkeypatch.setattr(torch.nn.functional, "linear", product)
    split_linears(torch.nn.Sequential(layer))
    split = layer(inputs)
    scale = (inputs.double().abs() @ layer.weight.double().abs().T).max()
    assert ((split - right).abs() <= scale * 2**-19).all()
    assert ((truncated - right).abs().max() > 50 * (split - right).abs().max()).all()


def test_a_model_keeps_its_weights_and_other_layers() -> None:
    half, whole = torch.nn.Linear(4, 4).half(), torch.nn.Linear(4, 4)
    names = set(torch.nn.ModuleList([half, whole]).state_dict())
    model = torch.nn.ModuleList([half, whole, torch.nn.LayerNorm(4)])
    assert type(split_linears(model, split=False)[1]) is torch.nn.Linear
    assert split_linears(model) is model
    assert type(half) is torch.nn.Linear and isinstance(whole, SplitLinear)
    assert names <= set(model.state_dict())
    asked = torch.randn(2, 4)
    torch.testing.assert_close(whole(asked), torch.nn.functional.linear(asked, whole.weight, whole.bias))
    assert not torch.backends.cuda.matmul.allow_tf32
