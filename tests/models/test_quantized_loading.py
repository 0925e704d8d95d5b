"""Models in 4 bits are loaded from every kind of file, compute in one type, and are refused in plain words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_number_format import CPU, T4
from transformers import AutoModelForCausalLM

from random_models import write_model
from synthetic_instruction_tuner.config import Config, EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines import choice
from synthetic_instruction_tuner.engines.choice import choose_engine
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_reward_model, load_tokenizer, weights_fault
from synthetic_instruction_tuner.models.quantization import held
from synthetic_instruction_tuner.models.quantization.held import missing_library, settled, writing_format
from synthetic_instruction_tuner.preference.reward.model import RewardModel
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.checks.settings_checks import check_settings

pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
IDS = torch.arange(5, 25)[None]


def packed(path: Path | str) -> ModelConfig:
    return ModelConfig(path=str(path), load_in_4bit=True)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "llama", "llama", hidden=64, mlp=128)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    """The same model, quantized in its files, from bfloat16."""
    folder = write_model(tmp_path_factory.mktemp("stored") / "llama", "llama", hidden=64, mlp=128)
    load_causal_lm(packed(llama), "bfloat16", "cpu").save_pretrained(folder)
    return folder


def logits(model: ModelConfig, dtype: str = "float32") -> torch.Tensor:
    with torch.inference_mode():
        return load_causal_lm(model, dtype, "cpu")(IDS).logits.float()


def test_only_linear_layers_between_others_are_in_4_bits(llama: Path) -> None:
    model = load_causal_lm(packed(llama), "float16", "cpu")
    kinds = {name: p.dtype for name, p in model.named_parameters()}
    assert {kinds[n] for n in kinds if "proj" in n} == {torch.uint8}
    assert {kinds[n] for n in kinds if "proj" not in n} == {torch.float16}
    whole = sum(p.numel() * 2 for p in load_causal_lm(ModelConfig(path=str(llama)), "float16", "cpu").parameters())
    assert sum(p.numel() * p.element_size() for p in model.parameters()) < 0.7 * whole


def test_pickled_weights_are_quantized_like_safetensors(llama: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "bin", "llama", hidden=64, mlp=128)
    torch.save(AutoModelForCausalLM.from_pretrained(llama).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert torch.equal(logits(packed(folder)), logits(packed(llama)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_model_that_is_stored_in_4_bits_computes_in_the_type_that_the_machine_has(stored: Path, dtype: str) -> None:
    """Its files say bfloat16, in which it was quantized: a T4 only emulates that."""
    assert "bfloat16" in (stored / "config.json").read_text()
    for model in (ModelConfig(path=str(stored)), packed(stored)):
        loaded = load_causal_lm(model, dtype, "cpu")
        layers = [m for m in loaded.modules() if hasattr(m, "quant_state")]
        assert layers and {m.compute_dtype for m in layers} == {getattr(torch, dtype)}
        assert {m.weight.quant_state.dtype for m in layers} == {getattr(torch, dtype)}
        assert not any(m.support_avx512bf16_for_cpu for m in layers)
        assert loaded(IDS).logits.isfinite().all()
    assert weights_fault(ModelConfig(path=str(stored)), reward=False) is None


def test_4_bits_in_the_files_cannot_be_forbidden(stored: Path) -> None:
    model = ModelConfig(path=str(stored), load_in_4bit=False)
    with pytest.raises(UserError, match="is in 4 bits"):
        writing_format(model, CPU, "auto", 64)


def test_weights_that_do_not_fit_are_found_without_quantizing_anything(llama: Path, tmp_path: Path) -> None:
    assert weights_fault(packed(llama), reward=False) is None
    folder = write_model(tmp_path / "bad", "llama", hidden=64, mlp=128)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    fault = weights_fault(packed(folder), reward=False)
    assert fault is not None and "shape" in fault.reason


@pytest.mark.parametrize("method", ["gptq", "awq", "no such method"])
def test_other_quantized_files_are_loaded_or_refused_in_plain_words(tmp_path: Path, method: str) -> None:
    folder = write_model(tmp_path, "llama")
    config = json.loads((folder / "config.json").read_text())
    stored = {"quant_method": method, "bits": 4, "group_size": 128}
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": stored}))
    model = ModelConfig(path=str(folder))
    assert held.held_as(model) == method
    with pytest.raises(UserError) as found:
        load_causal_lm(model, "float32", "cpu")
    assert method in found.value.cause or "quantiz" in found.value.cause
    assert found.value.fix


def test_a_reward_model_in_4_bits_scores_in_batches_as_alone(tmp_path: Path) -> None:
    model = packed(write_model(tmp_path, "deberta", hidden=64, mlp=96))
    loaded = load_reward_model(model, "float32", "cpu")
    assert any(p.dtype == torch.uint8 for p in loaded.parameters())
    assert loaded.classifier.weight.dtype == torch.float32
    reward = RewardModel(loaded, load_tokenizer(model), batch_size=4, max_tokens=64)
    items = [([Message("user", "Why? " * n)], "Because. " * n) for n in (1, 5, 3)]
    assert reward.score(items) == pytest.approx([reward.score([item])[0] for item in items], abs=1e-4)
    assert reward.padding != "none"


def test_the_engine_of_a_model_in_4_bits_is_our_own(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "vllm_version", lambda: "0.25.1")
    plain = ModelConfig(path=str(llama))
    assert choose_engine(plain, EngineConfig(), T4).kind == "vllm"
    assert choose_engine(packed(llama), EngineConfig(), T4).kind == "transformers"
    with pytest.raises(UserError, match="4 bits"):
        choose_engine(packed(llama), EngineConfig(kind="vllm"), T4)
    small = replace(T4, gpu_memory_gb=0.5)
    found = settled(plain, writing_format(plain, small, "auto", 64))
    assert choose_engine(found, EngineConfig(), small).kind == "transformers"
    assert not held.held_as(settled(plain, writing_format(plain, T4, "auto", 64)))
    assert settled(plain, writing_format(plain, CPU, "auto", 64)).load_in_4bit is False


def test_without_bitsandbytes_a_run_stops_before_it_starts(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "find_spec", lambda name: None)
    assert missing_library(ModelConfig(path=str(llama))) is None
    with pytest.raises(UserError) as found:
        load_causal_lm(packed(llama), "float32", "cpu")
    assert 'pip install "synthetic-instruction-tuner[qlora]"' in found.value.fix
    roles = {
        "generator": packed(llama),
        "responders": ["nano:responder-llama", "nano:responder-qwen2"],
        "students": [str(llama)],
        "reward": "nano:reward",
    }
    with pytest.raises(UserError) as found:
        check_settings(Config.model_validate({"profile": "nano", "models": roles}), CPU)
    assert 'pip install "synthetic-instruction-tuner[qlora]"' in str(found.value)
