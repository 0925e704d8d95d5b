"""`sit generate` and `sit doctor` with the generator on a server: the same data, but for the name of the engine."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_server import Die, FakeServer, Reply
from transformers import AutoModelForCausalLM

from synthetic_instruction_tuner.cli import app, model_doctor
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.server import watch
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.models.files import local_folder
from synthetic_instruction_tuner.models.loading import load_tokenizer
from synthetic_instruction_tuner.run.store import Store

MODEL = ModelConfig(path="nano:generator")
KEY = "sk-very-secret"


class NanoServer(FakeServer):
    """A vLLM-like server that runs the embedded generator with our own engine, so that texts can be compared."""

    def __init__(self, **settings: Any) -> None:
        model = AutoModelForCausalLM.from_pretrained(local_folder(MODEL), dtype="float32")
        self._engine = TransformersEngine(model, 0, batch_size=1, device="cpu")
        self._turn = threading.Lock()
        super().__init__("vllm", load_tokenizer(MODEL), names=("generator",), chain=False, **settings)

    def answer(self, prompt: list[int], body: dict[str, Any], settings: dict[str, Any]) -> Reply:
        stops = tuple(body["stop_token_ids"])
        request = Request(tuple(prompt), body["seed"], body["max_tokens"], stops, body["temperature"], body["top_p"])
        with self._turn:
            done = self._engine.generate([request])[0]
        ids = [*done.token_ids, *stops[:1]] if done.finish_reason == "stop" else list(done.token_ids)
        choice = {"text": self.tokenizer.decode(done.token_ids), "token_ids": ids, "finish_reason": done.finish_reason}
        return 200, {"choices": [choice], "usage": {"prompt_tokens": len(prompt)}}


SIZES = ["generate.count=12", "generate.batch=5", "generate.instruction.max_new_tokens=24"]
SIZES += ["generate.response.max_new_tokens=24", "generate.min_healthy=0", "engine.threads=1"]


def generate(folder: Path, *overrides: str) -> int:
    words = ["generate", "--run-dir", str(folder), "--quiet"]
    named = [value.partition("=")[0] for value in overrides]
    for value in (*(size for size in SIZES if size.partition("=")[0] not in named), *overrides):
        words += ["--set", value]
    return app._exit_code(words)


def test_texts_from_a_server_are_the_same_and_survive_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)
    assert generate(tmp_path / "local") == 0
    with NanoServer(key=KEY) as server:
        way = (f"engine.url={server.url}/v1", "engine.api_key_env=MY_KEY", "engine.concurrency=3", "engine.outage=60")
        asked = 0

        def dies_once(body: dict[str, Any]) -> Reply | None:
            nonlocal asked
            asked += 1
            if 14 <= asked <= 40:
                raise Die
            return None

        server.script = dies_once
        raw = "data/raw/instructions_raw.json"
        assert generate(tmp_path / "remote", *way, "engine.max_retries=40") == 0
        local = (tmp_path / "local" / raw).read_text(encoding="utf-8")
        remote = (tmp_path / "remote" / raw).read_text(encoding="utf-8")
        assert remote == local.replace('"engine": "transformers"', '"engine": "server"') != local
        assert asked > 40
        doctor = ["doctor", "--run-dir", str(tmp_path / "remote"), *(w for s in way for w in ("--set", s))]
        server.script = None
        app._exit_code(doctor)
        shown = capsys.readouterr().out
        assert "generator runs on server" in shown.replace("generator and responders run", "generator runs")
        written = b"".join(file.read_bytes() for file in (tmp_path / "remote").rglob("*") if file.is_file())
        assert KEY.encode() not in written and KEY not in shown


def test_a_run_that_lost_its_server_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)
    raw = "data/raw/instructions_raw.json"
    with NanoServer() as server:
        way = (f"engine.url={server.url}/v1", "engine.concurrency=1", "engine.outage=0.1", "engine.max_retries=1")
        way += ("generate.instruction.max_new_tokens=9", "generate.response.max_new_tokens=9")
        assert generate(tmp_path / "whole", *way) == 0
        answered: list[tuple[int, ...]] = []

        def dies(body: dict[str, Any]) -> Reply | None:
            if len(answered) >= limits[0]:
                raise Die
            if body["max_tokens"] == 9:
                answered.append((body["seed"], *body["prompt"]))
            return None

        server.script = dies
        limits = [4, 20, 1000]
        while len(limits) > 1:
            assert generate(tmp_path / "broken", *way) == 1
            assert "has been unavailable" in capsys.readouterr().err
            limits.pop(0)
        assert generate(tmp_path / "broken", *way) == 0
    assert (tmp_path / "broken" / raw).read_bytes() == (tmp_path / "whole" / raw).read_bytes()
    assert len(answered) == len(set(answered)) + 12 - 5  # probes of records that are not in the first batch
    with closing(Store.open(tmp_path / "broken" / "run.sqlite", readonly=True)) as store:
        units = {unit for (unit,) in store._db.read("SELECT unit FROM batches")}
    assert not any("served" in unit for unit in units)


def test_a_run_waits_for_its_server_and_the_doctor_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    dead = "models.generator.url=http://127.0.0.1:9/v1"
    assert generate(tmp_path / "g", dead, "engine.outage=0.3") == 1
    assert "does not answer" in capsys.readouterr().err and len(caplog.messages) == 1
    assert app._exit_code(["doctor", "--run-dir", str(tmp_path / "r"), "--set", dead]) == 1
    assert "does not answer" in capsys.readouterr().out and len(caplog.messages) == 1


def test_the_doctor_of_a_model_waits_a_moment_for_its_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_doctor, "PATIENCE", 0.2)
    assert app._exit_code(["doctor", "nano:generator", "--set", "engine.url=http://127.0.0.1:9"]) == 1
    shown = capsys.readouterr().err
    assert "does not answer" in shown and "correct the url" in shown and "kept" not in shown


def test_an_engine_that_is_not_here_stops_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(tmp_path, "engine.kind=vllm") == 2
    assert "vLLM is not installed" in capsys.readouterr().err
