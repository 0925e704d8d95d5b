"""The suite on our own engine and on real servers: `transformers serve`, and llama.cpp's where it is installed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from chain_model import write_chain_model
from conformance import CHECKS, Subject
from real_servers import free_port, llama_server, running, transformers_serve
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.engines.server_dialects import LlamaCppDialect, TextDialect
from synthetic_instruction_tuner.engines.server_engine import ServerEngine
from synthetic_instruction_tuner.engines.server_probe import open_server
from synthetic_instruction_tuner.engines.transformers_engine import TransformersEngine
from synthetic_instruction_tuner.settings import EngineConfig, ModelConfig

per_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@pytest.fixture(scope="module", params=["float32", "bfloat16", "plain decoder"])
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = write_chain_model(tmp_path_factory.mktemp("chain"))
    dtype = torch.bfloat16 if request.param == "bfloat16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine = TransformersEngine(model, tokenizer.pad_token_id, batch_size=64, device="cpu")
    if request.param == "plain decoder":
        engine._slots = False
    return Subject(engine, tokenizer)


@per_check
def test_transformers(local: Subject, check: Callable[[Subject], None]) -> None:
    check(local)


SERVERS = {"transformers serve": (transformers_serve, TextDialect), "llama.cpp": (llama_server, LlamaCppDialect)}


def opened(folder: Path, port: int, **settings: object) -> Subject:
    config = EngineConfig(url=f"http://127.0.0.1:{port}/v1", concurrency=8, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    template = ChatTemplate.from_tokenizer(tokenizer)
    return Subject(open_server(ModelConfig(path=str(folder)), config, template, wait=0), tokenizer)


@pytest.fixture(scope="module", params=SERVERS)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder, port = write_chain_model(tmp_path_factory.mktemp("chain"), adds_bos=True), free_port()
    command, expected = SERVERS[request.param]
    with running(command(folder, port), port, folder / "server.log"):
        found = opened(folder, port)
        assert isinstance(found.engine, ServerEngine) and isinstance(found.engine._dialect, expected)
        yield found


@per_check
def test_real_server(remote: Subject, check: Callable[[Subject], None]) -> None:
    check(remote)


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_server_that_is_killed_and_comes_back_is_continued(server: str, tmp_path: Path) -> None:
    folder, port = write_chain_model(tmp_path, adds_bos=True), free_port()
    command, _ = SERVERS[server]
    line = command(folder, port)
    with running(line, port, folder / "first.log") as first:
        found = opened(folder, port)
        asked = [found.request(f"{'x' * (k % 9)}a", max_new_tokens=8) for k in range(120)]
        state: dict[str, object] = {}

        def kill(_: int) -> None:
            if not state:
                first.send_signal(signal.SIGKILL)
                first.wait()
                state["second"] = running(line, port, folder / "second.log")
                state["second"].__enter__()  # type: ignore[attr-defined]

        try:
            got = found.engine.generate(asked, kill)
        finally:
            state["second"].__exit__(None, None, None)  # type: ignore[attr-defined]
    assert [found.text(c) for c in got] == ["bcdefghi"] * 120
