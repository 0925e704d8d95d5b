"""A student's base model is loaded once: each variant is what it is when it is loaded alone, in every order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from chain_model import chain_tokenizer
from fake_vllm import LLM, installed
from safetensors.numpy import save_file

from random_models import write_model
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines import choice, variants
from synthetic_instruction_tuner.engines.opening import open_engine, open_variants
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.vllm import VllmEngine
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.hardware import Hardware, detect

GPU = Hardware("cuda", "a GPU", 8, 64.0, 80.0, (9, 0), "", "")
CPU = EngineConfig(device="cpu")
NAMES = ("base", "lora", "other", "soft")
PAIRS = [((5, 9, 30, 31), (40, 41)), ((5, 9), (12,))]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "llama", "llama", hidden=64, mlp=128)


@pytest.fixture(scope="module")
def adapters(student: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | None]:
    """Adapters by name: two LoRA adapters of different layers and ranks, a soft prompt, and none."""
    from peft import LoraConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shapes: dict[str, Any] = {
        "lora": LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        "other": LoraConfig(r=3, target_modules=["v_proj", "down_proj"], task_type="CAUSAL_LM"),
        "soft": PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
    }
    found: dict[str, Path | None] = {"base": None}
    for number, (name, shape) in enumerate(shapes.items()):
        torch.manual_seed(number)
        tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(student), shape)
        for key, weights in tuned.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(weights)
        tuned.save_pretrained(folder := tmp_path_factory.mktemp(name))
        found[name] = folder
    return found


def seen(engine: Any) -> tuple[dict[str, Any], list[tuple[float, bool]]]:
    """Returns a model's weights, bit by bit, and what it says."""
    weights = {
        name: (part.dtype, part.detach().clone().view(torch.uint8).numpy().tobytes())
        for name, part in engine._model.named_parameters(remove_duplicate=False)
    }
    return weights, engine.loglikelihood(PAIRS)


Alone = Callable[[str, ModelConfig], Any]


@pytest.fixture(scope="module")
def alone(adapters: dict[str, Path | None]) -> Alone:
    """What a variant is when it is loaded by itself."""
    known: dict[tuple[str, bool], Any] = {}

    def find(name: str, model: ModelConfig) -> Any:
        key = (name, model.load_in_4bit is True)
        if key not in known:
            with open_engine(model, CPU, detect("cpu"), adapters[name], student=True) as (engine, _):
                known[key] = seen(engine)
        return known[key]

    return find


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path | None]]:
    loads: list[Path | None] = []
    load = variants.load_causal_lm
    with monkeypatch.context() as patch:
        patch.setattr(variants, "load_causal_lm", lambda *a: (loads.append(a[3]), load(*a))[1])
        yield loads


@pytest.mark.parametrize("order", [["lora", "base", "other", "soft", "lora"]])
def test_in_every_order_a_variant_is_what_it_is_alone(
    student: Path, adapters: dict[str, Path | None], alone: Alone, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    model = ModelConfig(path=str(student))
    wanted = {name: alone(name, model) for name in NAMES}
    with (
        counted(monkeypatch) as loads,
        open_variants(model, CPU, detect("cpu"), [adapters[name] for name in order]) as opened,
    ):
        for name in order:
            with opened(adapters[name]) as (engine, template):
                assert template.stop_ids
                assert seen(engine) == wanted[name]
    assert loads == [None]
    assert len({str(wanted[name][1]) for name in NAMES}) == len(NAMES), "each adapter changes something"


def test_without_room_for_the_base_s_weights_variants_are_loaded_anew(
    student: Path, adapters: dict[str, Path | None], alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelConfig(path=str(student))
    wanted = {name: alone(name, model) for name in NAMES}
    monkeypatch.setattr(variants.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**6))
    with (
        counted(monkeypatch) as loads,
        open_variants(model, CPU, detect("cpu"), list(adapters.values())) as opened,
    ):
        for name in ("base", "lora", "other", "soft"):
            with opened(adapters[name]) as (engine, _):
                assert seen(engine) == wanted[name]
    assert loads == [None, adapters["lora"], None, adapters["other"], None]


def test_beside_a_base_in_4_bits_adapters_come_and_go(
    student: Path, adapters: dict[str, Path | None], alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    model = ModelConfig(path=str(student), load_in_4bit=True)
    wanted = {name: alone(name, model) for name in NAMES}
    with counted(monkeypatch) as loads, open_variants(model, CPU, detect("cpu"), list(adapters.values())) as opened:
        for name in ("lora", "base", "other", "soft", "base"):
            with opened(adapters[name]) as (engine, _):
                assert seen(engine) == wanted[name]
    assert loads == [None]


def test_a_model_that_stays_after_its_variants_stops_the_run(student: Path, adapters: dict[str, Path | None]) -> None:
    kept = []
    with (
        pytest.raises(RunError, match="was not freed"),
        open_variants(ModelConfig(path=str(student)), CPU, detect("cpu"), [None]) as opened,
        opened(adapters["lora"]) as (engine, _),
    ):
        kept.append(engine._model)


def test_vllm_holds_the_base_once_and_gets_adapters_with_the_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choice, "vllm_version", lambda: "0.25.1")
    lora = [tmp_path / "sft", tmp_path / "dpo"]
    for rank, folder in zip((8, 12), lora, strict=True):
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank}))
        save_file({"lora_A": np.zeros((rank, 4), np.float32)}, folder / "adapter_model.safetensors")
    installed(monkeypatch, chain_tokenizer())
    before, nano = len(LLM.made), ModelConfig(path="nano:student-llama")
    with open_variants(nano, EngineConfig(kind="vllm"), GPU, [None, *lora]) as opened:
        for adapter in (None, *lora, None):
            with opened(adapter) as (engine, _):
                assert isinstance(engine, VllmEngine)
                engine._llm.generate([], [], lora_request=engine._lora)
        (llm,) = LLM.made[before:]
        assert not llm.closed
    assert llm.closed and (llm.arguments["enable_lora"], llm.arguments["max_lora_rank"]) == (True, 16)
    numbers = [request and (request.lora_int_id, request.lora_path) for request in llm.loras]
    assert numbers == [None, (1, str(lora[0])), (2, str(lora[1])), None]


def test_for_a_soft_prompt_vllm_gives_its_memory_back(
    adapters: dict[str, Path | None], student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "vllm_version", lambda: "0.25.1")
    installed(monkeypatch, chain_tokenizer())
    monkeypatch.setattr(variants, "choose_device", lambda *_: "cpu")
    monkeypatch.setattr(variants, "choose_dtype", lambda *_: ("float32", ""))
    before = len(LLM.made)
    with open_variants(
        ModelConfig(path=str(student)), EngineConfig(kind="vllm"), GPU, [None, adapters["soft"]]
    ) as opened:
        with opened(None) as (engine, _):
            assert isinstance(engine, VllmEngine)
        with opened(adapters["soft"]) as (engine, _):
            assert isinstance(engine, TransformersEngine)
            assert [llm.closed for llm in LLM.made[before:]] == [True]
        with opened(None):
            assert [llm.closed for llm in LLM.made[before:]] == [True, False]
