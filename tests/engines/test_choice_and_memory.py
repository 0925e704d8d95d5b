"""Which engine runs a model and why, and that a model's memory is measured when it is gone."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, load_config
from synthetic_instruction_tuner.engines import choice
from synthetic_instruction_tuner.engines.choice import choose_engine
from synthetic_instruction_tuner.engines.opening import open_engine
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.models import memory
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.memory import memory_freed
from synthetic_instruction_tuner.run.checks.model_checks import engine_lines
from synthetic_instruction_tuner.run.planning import estimate

CPU = Hardware("cpu", "x86", 2, 16.0, None, None, "", "")
GPU = Hardware("cuda", "a GPU", 8, 64.0, 80.0, (9, 0), "", "")
MODEL = ModelConfig(path="a/b")
URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("settings", "hardware", "installed", "student", "kind", "why"),
    [
        ({}, CPU, "0.25.1", False, "transformers", "no GPU"),
        ({}, GPU, "0.25.1", False, "vllm", "vLLM 0.25.1 is installed"),
        ({}, GPU, "", False, "transformers", "vLLM is not installed"),
        ({}, GPU, "0.25.1", True, "transformers", "same engine"),
        ({"device": "cpu"}, GPU, "0.25.1", False, "transformers", "no GPU"),
        ({"url": URL}, GPU, "0.25.1", False, "server", URL),
        ({"url": URL}, CPU, "", True, "transformers", "same engine"),
        ({"kind": "server", "url": URL}, CPU, "", False, "server", URL),
        ({"kind": "transformers", "url": URL}, GPU, "0.25.1", False, "transformers", "set in"),
        ({"kind": "vllm"}, GPU, "0.25.1", True, "vllm", "set in"),
    ],
)
def test_the_choice_and_its_reason(
    settings: dict[str, Any],
    hardware: Hardware,
    installed: str,
    student: bool,
    kind: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "vllm_version", lambda: installed)
    found = choose_engine(MODEL, EngineConfig(**settings), hardware, student=student)
    assert found.kind == kind and why in found.why


def test_a_model_s_own_server_goes_first() -> None:
    own = ModelConfig(path="a/b", url="http://other:1/v1")
    assert "other:1" in choose_engine(own, EngineConfig(url=URL), CPU).why


@pytest.mark.parametrize(
    ("settings", "hardware", "problem"),
    [
        ({"kind": "vllm"}, GPU, "vLLM is not installed"),
        ({"kind": "server"}, CPU, "has no server"),
        ({"device": "cuda"}, CPU, "No CUDA GPU"),
    ],
)
def test_what_is_not_there_is_said(settings: dict[str, Any], hardware: Hardware, problem: str) -> None:
    assert choice.vllm_version() == "", "this test is for machines without vLLM"
    with pytest.raises(UserError, match=problem):
        choose_engine(MODEL, EngineConfig(**settings), hardware)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://host/v1", "http://user:secret@host/v1", "http://host/v1?key=1", "http:///v1"]
)
def test_addresses_that_are_none_or_hold_secrets_are_refused(url: str) -> None:
    with pytest.raises(UserError):
        load_config("nano", None, [f"engine.url={url}"])


def test_only_models_that_write_texts_can_be_on_a_server() -> None:
    with pytest.raises(UserError, match="no url"):
        load_config("nano", None, [f"models.reward.url={URL}"])


def test_how_a_server_is_reached_changes_no_key() -> None:
    plain = EngineConfig().key_part()
    same = EngineConfig(
        url=URL, api_key_env="KEY", concurrency=3, timeout=1, max_retries=1, outage=1, gpu_memory_utilization=0.5
    )
    assert same.key_part() == plain
    assert all(
        EngineConfig(**c).key_part() != plain for c in ({"kind": "vllm"}, {"max_model_len": 99}, {"batch_size": 3})
    )


def test_a_run_says_which_engines_run_and_why() -> None:
    config = load_config("nano", None, [f"models.generator.url={URL}"])
    lines = engine_lines(config, CPU)
    assert lines[0] == f"generator runs on server (its url is {URL})"
    assert any("responder" in line and "transformers (no GPU" in line for line in lines)
    assert any("student" in line and "same engine" in line for line in lines)


def test_a_model_on_a_server_needs_no_memory_here() -> None:
    def needed(*overrides: str) -> list[float]:
        return [e.memory_gb for e in estimate(load_config("a100", None, overrides), GPU)]

    local, served = needed(), needed(f"models.generator.url={URL}")
    assert served[0] < 1 < local[0] and served[1:] == local[1:]
    everything = needed(f"engine.url={URL}")
    assert everything[2] < 8 < local[2] / 4 and 1 < everything[6] == local[6], "students run here"


# Memory


def test_a_model_that_stays_stops_the_run(random_llama: Path) -> None:
    kept = []
    with (
        pytest.raises(RunError, match="was not freed") as caught,
        open_engine(ModelConfig(path=str(random_llama)), EngineConfig(), CPU) as (engine, _),
    ):
        kept.append(engine._model)  # type: ignore[attr-defined]
    assert "refers to the model" in caught.value.cause and kept


class _Cycle:
    """An object that only a search for cycles frees."""

    def __init__(self, at_its_end: Callable[[], object] = int) -> None:
        self.me, self._at_its_end = self, at_its_end

    def __del__(self) -> None:
        self._at_its_end()


def test_a_search_for_cycles_in_another_thread_is_waited_for() -> None:
    """Python then does nothing when it is asked for one, and a model would count as still in use."""
    begun, go_on = threading.Event(), threading.Event()
    gc.disable()
    try:
        _Cycle(lambda: (begun.set(), go_on.wait(30)))
        other = threading.Thread(target=gc.collect)
        other.start()
        assert begun.wait(30)
        model = weakref.ref(_Cycle())
        threading.Timer(0.1, go_on.set).start()
        memory.release()
        assert model() is None
    finally:
        go_on.set()
        gc.enable()
    other.join()


def test_memory_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(memory._ROOM, "cpu", 50 * 1024**2)
    kept = []
    with memory_freed("a model", "cpu"):
        block = bytearray(b"x") * (200 * 1024**2)
        assert len(block)
        del block
    with pytest.raises(RunError, match="memory of a model") as caught, memory_freed("a model", "cpu"):
        kept.append(bytearray(b"x") * (200 * 1024**2))
    assert "GB more than before" in caught.value.cause


def test_memory_on_a_gpu_is_that_of_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    held = iter((10 * 1024**3, 10 * 1024**3, 10 * 1024**3, 12 * 1024**3))
    monkeypatch.setattr(memory, "held_bytes", lambda device: next(held))
    with memory_freed("a model", "cuda"):
        pass
    with pytest.raises(RunError, match="was not freed") as caught, memory_freed("a model", "cuda"):
        pass
    assert "2.00 GB" in caught.value.cause


def test_a_process_that_stays_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_ENDS_WITHIN", 0.2)
    with memory_freed("a model", "cpu"):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert not psutil.pid_exists(process.pid)


def test_python_s_own_helper_may_stay() -> None:
    with memory_freed("a model", "cpu"):
        process = multiprocessing.get_context("spawn").Process(target=int)  # starts the resource tracker as well
        process.start()
        process.join()


def test_a_process_that_cannot_be_ended_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = psutil.Process()
    monkeypatch.setattr(memory, "_ended", lambda processes: [stubborn])
    with pytest.raises(RunError, match="was not freed") as caught, memory_freed("a model", "cpu"):
        pass
    assert str(stubborn.pid) in caught.value.cause


def test_an_error_on_its_way_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def leaking() -> Iterator[None]:
        monkeypatch.setattr(memory, "_ended", lambda processes: [psutil.Process()])
        with memory_freed("a model", "cpu"):
            yield

    with pytest.raises(ValueError, match="the real one"), leaking():
        raise ValueError("the real one")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, synthetic_instruction_tuner.engines; print({'torch', 'transformers', 'vllm'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
