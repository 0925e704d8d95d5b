"""The suite on our own engine and on real servers: `transformers serve`, and llama.cpp's where it is installed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from chain_model import write_chain_model
from conformance import CHECKS, Subject
from real_servers import free_port, llama_server, running, transformers_serve
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.server.dialects import LlamaCppDialect, TextDialect
from synthetic_instruction_tuner.engines.server.engine import ServerEngine
from synthetic_instruction_tuner.engines.server.probe import open_server
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.plain_decoding import PlainDecoder
from synthetic_instruction_tuner.models.loading import load_causal_lm

per_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@pytest.fixture(scope="module", params=["float32", "bfloat16", "plain decoder", "4 bits"])
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = write_chain_model(tmp_path_factory.mktemp("chain"))
    dtype = torch.bfloat16 if request.param == "bfloat16" else torch.float32
    if request.param == "4 bits":
        pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
        model = load_causal_lm(ModelConfig(path=str(folder), load_in_4bit=True), "float32", "cpu")
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine = TransformersEngine(model, tokenizer.pad_token_id, batch_size=64, device="cpu")
    if request.param == "plain decoder":
        engine._decoder = PlainDecoder
    return Subject(engine, tokenizer)


@per_check
def test_transformers(local: Subject, check: Callable[[Subject], None]) -> None:
    check(local)


SERVERS = {"transformers serve": (transformers_serve, TextDialect), "llama.cpp": (llama_server, LlamaCppDialect)}


def opened(folder: Path, port: int, **settings: object) -> Subject:
    config = EngineConfig(concurrency=8, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    template = ChatTemplate.from_tokenizer(tokenizer)
    return Subject(
        open_server(ModelConfig(path=str(folder), url=f"http://127.0.0.1:{port}/v1"), config, template, wait=0),
        tokenizer,
    )


@dataclass(frozen=True)
class Remote:
    """A running server, and what is needed to start it again."""

    subject: Subject
    process: subprocess.Popen[bytes]
    command: list[str]
    port: int
    folder: Path


@pytest.fixture(scope="module", params=SERVERS)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder, port = write_chain_model(tmp_path_factory.mktemp("chain"), adds_bos=True), free_port()
    command, expected = SERVERS[request.param]
    line = command(folder, port)
    with running(line, port, folder / "server.log") as process:
        found = opened(folder, port)
        assert isinstance(found.engine, ServerEngine) and isinstance(found.engine._dialect, expected)
        yield Remote(found, process, line, port, folder)


in_one_process = pytest.mark.xdist_group("real servers")  # which would otherwise start one each


@in_one_process
@per_check
def test_real_server(remote: Remote, check: Callable[[Subject], None]) -> None:
    check(remote.subject)


@in_one_process
def test_a_real_server_that_is_killed_and_comes_back_is_continued(remote: Remote) -> None:
    found, second = remote.subject, ExitStack()
    asked = [found.request(f"{'x' * (k % 9)}a", max_new_tokens=8) for k in range(120)]

    def kill(_: int) -> None:
        if remote.process.poll() is None:
            remote.process.send_signal(signal.SIGKILL)
            remote.process.wait()
            second.enter_context(running(remote.command, remote.port, remote.folder / "second.log"))

    with second:
        got = found.engine.generate(asked, kill)
    assert [found.text(c) for c in got] == ["bcdefghi"] * 120
