"""Every engine passes the same suite: transformers, and further down servers that are real where there are any."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from chain_model import write_chain_model
from conformance import CHECKS, Subject
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthetic_instruction_tuner.engines.transformers_engine import TransformersEngine

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
