"""Texts behind a common beginning, scored one after the other in a single row, as on a GPU."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, GPT2Config, LlamaConfig, Qwen2Config

from synthetic_instruction_tuner.engines.transformers import scoring
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.trial import packed_for

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
KINDS: dict[str, Callable[[], Any]] = {
    "grouped heads": lambda: LlamaConfig(vocab_size=120, num_key_value_heads=2, **SIZES),
    "one key-value head": lambda: Qwen2Config(vocab_size=120, num_key_value_heads=1, **SIZES),
    "interleaved positions": lambda: CohereConfig(vocab_size=120, num_key_value_heads=4, pad_token_id=0, **SIZES),
    "learned positions": lambda: GPT2Config(vocab_size=120, n_embd=32, n_layer=2, n_head=4),
}


def model_of(config: Any, attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Any:
    return model_of(KINDS[request.param]())


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch, model: Any) -> TransformersEngine:
    """An engine that packs, although it is on a CPU."""
    engine = TransformersEngine(model, 0, batch_size=5, device="cpu")
    found = packed_for(model, "cpu")
    assert found is not None
    monkeypatch.setattr(engine, "_packing", lambda: found)
    return engine


def questions(seed: int, subjects: int = 2) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Returns contexts of unequal length behind long common beginnings, with choices of one to three tokens."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(subjects):
        start = [draw.randrange(1, 120) for _ in range(draw.randrange(66, 90))]
        for _ in range(draw.randrange(3, 9)):
            context = (*start, *(draw.randrange(1, 120) for _ in range(draw.randrange(1, 20))))
            if draw.random() < 0.7:
                pairs += [(context, (choice,)) for choice in (4, 5, 6)]
            else:
                pairs.append((context, tuple(draw.randrange(1, 120) for _ in range(draw.randrange(1, 4)))))
    draw.shuffle(pairs)
    return pairs


@pytest.mark.parametrize("seed", range(4))
def test_packed_texts_have_the_log_probabilities_of_padded_ones(
    packing: TransformersEngine, model: Any, seed: int
) -> None:
    pairs = questions(seed)
    got = packing.loglikelihood(pairs)
    wanted = TransformersEngine(model, 0, batch_size=5, device="cpu").loglikelihood(pairs)
    for (value, greedy), (right, sure) in zip(got, wanted, strict=True):
        assert value == pytest.approx(right, abs=2e-4)
        assert greedy == sure


def test_texts_behind_a_soft_prompt_too(packing: TransformersEngine, model: Any) -> None:
    soft = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    pairs = questions(9)
    own = TransformersEngine(model, 0, batch_size=5, device="cpu", soft_prompt=soft)
    wanted = own.loglikelihood(pairs)
    own._packing = packing._packing  # type: ignore[method-assign]
    for (value, _), (right, _) in zip(own.loglikelihood(pairs), wanted, strict=True):
        assert value == pytest.approx(right, abs=2e-4)


def test_attention_that_is_more_than_a_softmax_is_not_packed() -> None:
    config = Gemma2Config(vocab_size=120, num_key_value_heads=2, head_dim=8, attn_logit_softcapping=2.0, **SIZES)
    config.layer_types = ["full_attention"] * 2
    assert packed_for(model_of(config, "eager"), "cpu") is None


def test_a_packed_pass_holds_tokens_not_rows(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """One long text among short ones does not fill the pass with padding."""
    engine = TransformersEngine(model, 0, batch_size=1000, device="cpu")
    monkeypatch.setattr(scoring, "_TOKENS", {"cpu": 100})
    start = tuple(range(1, 70))
    rows = scoring.rows_of([((*start, *range(1, 2 + k)), (5,)) for k in (50, *range(9))], shared=True)
    assert engine._scoring_batch(rows, 69, packed=True) == 10  # 51 tokens, and nine texts of 1 to 9
    assert engine._scoring_batch(rows, 69, packed=False) == 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 4))
def test_each_token_sees_the_beginning_and_its_own_text(lengths: list[int], known: int) -> None:
    from types import SimpleNamespace

    from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import Packing

    layer = SimpleNamespace(keys=torch.zeros(1, 1, known, 2))
    parts = Packing.of(lengths, [layer], "cpu").parts
    assert sorted(token for part in parts for token in part.tokens.tolist()) == list(range(sum(lengths)))
    starts = [sum(lengths[:text]) for text in range(len(lengths))]
    place_of = [(text, place) for text, length in enumerate(lengths) for place in range(length)]
    for part in parts:
        for token, slot in zip(part.tokens.tolist(), part.slots.tolist(), strict=True):
            text, place = place_of[token]
            row, column = divmod(slot, part.width)
            assert column == place and part.tokens.tolist().count(starts[text]) == 1
            seen = part.seen[row, 0, column]
            assert seen[:known].all()
            assert seen[known:].nonzero()[:, 0].tolist() == list(range(place + 1))


def test_texts_of_similar_length_are_computed_together() -> None:
    from types import SimpleNamespace

    from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import Packing

    layer = SimpleNamespace(keys=torch.zeros(1, 1, 3, 2))
    lengths = [10, 100, 9] * 40
    assert [(part.rows, part.width) for part in Packing.of(lengths, [layer], "cpu").parts] == [(40, 100), (80, 10)]
