"""Which number format a model's weights get: a rule of sizes, the setting and the hardware, without any weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from random_models import write_model
from synthetic_instruction_tuner.config import ModelConfig, fingerprint
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.files import ModelShape, identity, shape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import (
    NF4_BYTES,
    RESERVE_GB,
    choose_format,
    model_format,
    weights_gb,
)

CPU = Hardware("cpu", "x86_64", 2, 16.0, None, None, "2.13", "5.23")
T4 = replace(CPU, device="cuda", device_name="Tesla T4", gpu_memory_gb=15.6, capability=(7, 5))
A100 = replace(T4, device_name="A100", gpu_memory_gb=42.4, capability=(8, 0))
LLAMA_8B = ModelShape(8.03e9, 32, 4096, 2048, 128_256, 2 * 128_256 * 4096)
LLAMA_1B = ModelShape(1.24e9, 16, 2048, 1024, 128_256, 128_256 * 2048)
sizes = st.builds(
    lambda parameters, kept: ModelShape(parameters, 32, 4096, 2048, 128_256, parameters * kept),
    st.floats(1e6, 1e12),
    st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("size", "hardware", "beside", "weights", "compute"),
    [
        (LLAMA_8B, T4, 0.0, "nf4", "float16"),  # 16.1 GB of 15.6
        (LLAMA_1B, T4, 5.0, "float16", "float16"),
        (LLAMA_1B, T4, 12.5, "nf4", "float16"),
        (LLAMA_8B, A100, 10.0, "bfloat16", "bfloat16"),
        (LLAMA_8B, A100, 26.0, "nf4", "bfloat16"),
        (LLAMA_8B, CPU, 1e3, "float32", "float32"),
        (None, T4, 1e3, "float16", "float16"),
    ],
)
def test_auto_takes_4_bits_where_16_do_not_fit(
    size: ModelShape | None, hardware: Hardware, beside: float, weights: str, compute: str
) -> None:
    found = choose_format(size, "auto", hardware, beside_gb=beside)
    assert (found.weights, found.compute) == (weights, compute)
    if found.four_bit:
        assert "do not fit" in found.describe() and hardware.device_name in found.describe()


@given(sizes, st.floats(0, 1e3), st.floats(1, 1e3), st.sampled_from([(7, 0), (7, 5), (8, 0), (9, 0)]))
def test_auto_is_the_rule_and_more_memory_never_means_fewer_bits(
    size: ModelShape, beside: float, memory: float, capability: tuple[int, int]
) -> None:
    hardware = replace(T4, gpu_memory_gb=memory, capability=capability)
    found = choose_format(size, "auto", hardware, beside_gb=beside)
    fits = weights_gb(size, "float16", "float16") + beside + RESERVE_GB <= memory
    assert found.four_bit != fits
    larger = choose_format(size, "auto", replace(hardware, gpu_memory_gb=2 * memory), beside_gb=beside)
    assert found.four_bit or not larger.four_bit
    assert found.compute == ("bfloat16" if capability >= (8, 0) else "float16")


@given(sizes, st.sampled_from([CPU, T4, A100]), st.sampled_from(["auto", "float16", "float32"]), st.floats(0, 1e3))
def test_4_bits_can_be_forced_and_forbidden(size: ModelShape, hardware: Hardware, dtype: str, beside: float) -> None:
    assert choose_format(size, True, hardware, dtype, beside).four_bit
    forbidden = choose_format(size, False, hardware, dtype, beside)
    assert forbidden.weights == forbidden.compute != "nf4"
    assert not choose_format(size, "auto", CPU, dtype, beside).four_bit


@given(sizes, st.sampled_from(["float16", "bfloat16", "float32"]))
def test_4_bits_take_less_memory_than_any_other_format(size: ModelShape, compute: str) -> None:
    packed = weights_gb(size, "nf4", compute)
    assert size.parameters * NF4_BYTES / 1e9 <= packed * (1 + 1e-9)
    assert packed <= weights_gb(size, compute, compute) * (1 + 1e-9)


def test_a_gpu_without_bfloat16_refuses_it_in_4_bits_too() -> None:
    with pytest.raises(UserError, match="no bfloat16"):
        choose_format(LLAMA_8B, True, T4, "bfloat16")


def test_the_embeddings_and_the_output_layer_are_not_counted_as_linear(tmp_path: Path) -> None:
    found = shape(ModelConfig(path=str(write_model(tmp_path, "llama", hidden=64, mlp=128, vocab=400))))
    assert found is not None
    attention, mlp = 64 * 64 + 64 * 32 * 2 + 64 * 64, 3 * 64 * 128
    assert found.parameters - found.unquantized == 2 * (attention + mlp)


def test_a_model_that_is_quantized_in_its_files_has_its_own_number_of_weights(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "llama", hidden=64, mlp=128, vocab=400)
    whole = shape(ModelConfig(path=str(folder)))
    config = json.loads((folder / "config.json").read_text())
    stored = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": stored}))
    packed = shape(ModelConfig(path=str(folder)))
    found = model_format(ModelConfig(path=str(folder)), A100)
    assert (found.weights, found.compute, found.four_bit) == ("nf4", "bfloat16", True)
    with pytest.raises(UserError, match="in 4 bits"):
        model_format(ModelConfig(path=str(folder), load_in_4bit=False), A100)
    assert whole and packed and packed.parameters == pytest.approx(whole.parameters, rel=0.5)


def test_the_default_is_in_no_fingerprint_and_every_other_value_is(tmp_path: Path) -> None:
    path = str(write_model(tmp_path, "llama"))
    default = ModelConfig(path=path)
    assert "load_in_4bit" not in default.model_dump() | identity(default)
    others = [ModelConfig(path=path, load_in_4bit=wanted) for wanted in (True, False)]
    assert len({fingerprint(model) for model in (default, *others)}) == 3
    assert len({fingerprint(identity(model)) for model in (default, *others)}) == 3
    assert model_format(others[0], CPU).four_bit and not model_format(default, CPU).four_bit
    assert ModelConfig(**others[0].model_dump()) == others[0]
