"""The vLLM engine against a stand-in for vLLM; benchmarks/engines_gpu.py runs the same suite against the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chain_model import chain_tokenizer
from conformance import CHECKS, Subject, letters_after
from fake_vllm import LLM, installed
from safetensors.numpy import save_file

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines import choice
from synthetic_instruction_tuner.engines.opening import open_engine
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.vllm import VllmEngine, lora_room
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.models.hardware import Hardware

GPU = Hardware("cuda", "a GPU", 8, 64.0, 80.0, (9, 0), "", "")
NANO = ModelConfig(path="nano:generator")


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    tokenizer = chain_tokenizer()
    llm = installed(monkeypatch, tokenizer)("chain")
    return Subject(VllmEngine(llm), tokenizer)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(subject: Subject, check: Callable[[Subject], None]) -> None:
    check(subject)


def test_a_prompt_that_vllm_refuses_takes_no_other_with_it(subject: Subject) -> None:
    good = [subject.request(f"{'x' * k}a", max_new_tokens=3) for k in range(9)]
    bad = replace(good[0], prompt_ids=(5, 7, 7))
    seen: list[int] = []
    got = subject.engine.generate([*good[:4], bad, *good[4:]], seen.append)
    assert [subject.text(c) for c in got if c is not got[4]] == ["bcd"] * 9 and sum(seen) == 10
    assert (got[4].finish_reason, got[4].error) == ("error", "this prompt is not liked")


def test_settings_that_vllm_refuses_are_errors_of_their_own(subject: Subject) -> None:
    hot, good = subject.ask(subject.request("D", temperature=2.5), subject.request("a", max_new_tokens=2))
    assert hot.finish_reason == "error" and "temperature" in hot.error and subject.text(good) == "bc"


def test_a_text_ends_where_the_context_does(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = chain_tokenizer()
    found = Subject(VllmEngine(installed(monkeypatch, tokenizer)("chain", max_model_len=16)), tokenizer)
    fits, too_long = found.ask(found.request("xxxxxxxxxa", max_new_tokens=40), found.request("x" * 15))
    assert (found.text(fits), fits.finish_reason) == (letters_after("a", 5), "length")
    assert too_long.finish_reason == "error" and "16 tokens" in too_long.error.replace("may have 16", "16 tokens")
    with pytest.raises(RunError, match="cannot be scored"):
        found.engine.loglikelihood([((1,) * 10, (2,) * 6)])


def test_a_dead_engine_process_ends_the_run(subject: Subject) -> None:
    LLM.made[-1].dead = True
    with pytest.raises(RunError, match="process has ended"):
        subject.ask(subject.request("a"))


def open_nano(monkeypatch: pytest.MonkeyPatch, adapter: Path | None = None, **settings: object) -> dict[str, object]:
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    installed(monkeypatch, load_tokenizer(NANO))
    monkeypatch.setattr(choice, "vllm_version", lambda: "0.25.1")
    with open_engine(NANO, EngineConfig(kind="vllm", **settings), GPU, adapter) as (engine, template):  # type: ignore[arg-type]
        assert isinstance(engine, VllmEngine) and template.stop_ids
        assert [c.finish_reason for c in engine.generate([])] == []
        llm = LLM.made[-1]
        assert not llm.closed
    assert llm.closed
    return llm.arguments


def test_how_vllm_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = open_nano(monkeypatch, gpu_memory_utilization=0.5)
    assert str(arguments["model"]).endswith("nano/weights/generator")
    expected = {"load_format": "safetensors", "generation_config": "vllm", "dtype": "bfloat16", "max_model_len": -1}
    expected |= {"gpu_memory_utilization": 0.5, "skip_tokenizer_init": True, "trust_remote_code": False}
    assert expected.items() <= arguments.items() and not arguments["enable_lora"]
    assert open_nano(monkeypatch, max_model_len=512)["max_model_len"] == 512


def test_a_lora_adapter_is_given_to_every_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 12}))
    save_file({"lora_A": np.zeros((12, 4), np.float32)}, tmp_path / "adapter_model.safetensors")
    arguments = open_nano(monkeypatch, tmp_path)
    assert (arguments["enable_lora"], arguments["max_lora_rank"]) == (True, 16)
    assert [lora_room(r) for r in (1, 2, 8, 9, 64, 512)] == [1, 8, 8, 16, 64, 512]
    llm = LLM("chain")
    engine = VllmEngine(llm, lora="the adapter")
    engine.generate([Subject(engine, LLM.tokenizer).request("a")])
    assert llm.loras == ["the adapter"]


def test_vllm_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, chain_tokenizer())
    monkeypatch.setattr(choice, "vllm_version", lambda: "0.25.1")
    LLM.fails = ValueError("Free memory on device (3/80 GiB) is less than desired GPU memory utilization.\nmore")
    with (
        pytest.raises(UserError, match="cannot run generator") as caught,
        open_engine(NANO, EngineConfig(kind="vllm"), GPU),
    ):
        pass
    assert caught.value.cause.startswith("Free memory") and "more" not in caught.value.cause
    LLM.fails = None


def test_it_is_not_the_transformers_engine(subject: Subject) -> None:
    assert not isinstance(subject.engine, TransformersEngine) and subject.engine.capabilities.seeded
