"""Records depend on seed and number alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from random_models import byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.data_generation.magpie_generator import MagpieGenerator
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.engines.transformers_engine import TransformersEngine
from synthetic_instruction_tuner.models import load_causal_lm, load_tokenizer
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.settings import DomainConfig, GenerateConfig, ModelConfig, SamplingConfig

SHORT = SamplingConfig(max_new_tokens=8)
CONFIG = GenerateConfig(count=10, batch=4, instruction=SHORT, response=SHORT)


@pytest.fixture(scope="module")
def generator(random_llama: Path) -> MagpieGenerator:
    model = ModelConfig(path=str(random_llama))
    engine = TransformersEngine(load_causal_lm(model, "float32", "cpu"), 0, batch_size=4, device="cpu")
    return MagpieGenerator(CONFIG, ChatTemplate.from_tokenizer(load_tokenizer(model)), engine, seed=3, model_name="m")


def test_a_record_is_the_same_in_any_batch(generator: MagpieGenerator) -> None:
    seen: list[int] = []
    whole = generator.generate(range(8), seen.append)
    assert sum(seen) == 16
    assert whole == [r for part in (range(5), range(5, 8)) for r in generator.generate(part)]
    assert [r.id for r in whole] == [f"raw-{n:06d}" for n in range(8)]
    assert len({r.instruction for r in whole}) > 1
    for record in whole:
        assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record
        assert record.instruction == record.instruction.strip() and "\0" not in record.instruction


def test_batches_are_fixed(generator: MagpieGenerator) -> None:
    assert generator.batches(10) == [range(0, 4), range(4, 8), range(8, 10)]


class Silent:
    """An engine that writes nothing."""

    def generate(self, requests, done=None):  # type: ignore[no-untyped-def]
        return [Completion((), "stop") for _ in requests]


def test_empty_instructions_are_data() -> None:
    template = ChatTemplate.from_tokenizer(byte_tokenizer())
    records = MagpieGenerator(CONFIG, template, Silent(), seed=0).generate([0, 1])  # type: ignore[arg-type]
    assert [(r.instruction, r.response, r.provenance["response_finish"]) for r in records] == [("", "", None)] * 2


def test_domains_follow_their_shares() -> None:
    birds, sums = DomainConfig(system="Ask about birds.", share=3), DomainConfig(system="Ask sums.", share=1)
    domains = {"birds": birds, "sums": sums}
    config = CONFIG.model_copy(update={"domains": domains, "undirected_share": 0.0})
    generator = MagpieGenerator(config, ChatTemplate.from_tokenizer(byte_tokenizer()), Silent(), seed=0)  # type: ignore[arg-type]
    names = [generator.domain(n) for n in range(2000)]
    assert abs(names.count("birds") / 2000 - 0.75) < 0.04 and None not in names
    assert generator.generate([0])[0].system == domains[str(names[0])].system
