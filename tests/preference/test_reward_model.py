"""The reward model: batch-independent scores, cutting that keeps the answer, both kinds of input, refused models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from random_models import byte_tokenizer, write_model
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.hardware import Hardware
from synthetic_instruction_tuner.preference.reward_model import RewardModel, open_reward_model, question_text
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.settings import EngineConfig, ModelConfig, PreferConfig


def load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).float()
    torch.nn.init.normal_(model.classifier.weight if hasattr(model, "classifier") else model.score.weight)
    return model, AutoTokenizer.from_pretrained(folder)


def reward(loaded: tuple[Any, Any], batch_size: int = 4, max_tokens: int = 200) -> RewardModel:
    return RewardModel(*loaded, batch_size=batch_size, max_tokens=max_tokens)


ITEMS = [([Message("user", "Why is the sky blue? " * (i % 4 + 1))], "Because " + "of light " * i) for i in range(11)]


@pytest.fixture(scope="module")
def deberta(random_reward: Path) -> tuple[Any, Any]:
    return load(random_reward)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return load(write_model(tmp_path_factory.mktemp("rm") / "llama", "llama"))


@pytest.mark.parametrize("kind", ["deberta", "llama"])
def test_a_batch_scores_like_single_items_and_the_order_stays(kind: str, request: pytest.FixtureRequest) -> None:
    loaded = request.getfixturevalue(kind)
    seen: list[int] = []
    together = reward(loaded).score(ITEMS, seen.append)
    alone = [reward(loaded, batch_size=1).score([item])[0] for item in ITEMS]
    assert together == pytest.approx(alone, abs=1e-3)
    assert len({round(score, 4) for score in alone}) > 5, "the scores differ, so a wrong order would show"
    assert sum(seen) == len(ITEMS)


def test_pairs_are_read_as_question_and_answer(deberta: tuple[Any, Any]) -> None:
    model, tokenizer = deberta
    messages = [
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
        Message("user", "Why?"),
    ]
    with torch.inference_mode():
        expected = model(**tokenizer("Be brief.\nHi\nYes?\nWhy?", "So.", return_tensors="pt")).logits[0, 0].item()
    assert reward(deberta).pairs
    assert reward(deberta).score([(messages, "So.")]) == pytest.approx([expected], abs=1e-5)
    assert question_text(messages[:1]) == "Be brief."


def test_decoder_models_read_the_rendered_conversation(llama: tuple[Any, Any]) -> None:
    model, tokenizer = llama
    text = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nSo.<|im_end|>\n"
    with torch.inference_mode():
        expected = model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits[0, 0].item()
    assert not reward(llama).pairs
    assert reward(llama).score([([Message("user", "Why?")], "So.")]) == pytest.approx([expected], abs=1e-5)


@pytest.mark.parametrize("kind", ["deberta", "llama"])
@pytest.mark.parametrize(("question", "answer"), [(500, 40), (40, 500), (500, 500), (3, 500), (500, 0)])
def test_a_long_item_is_cut_to_the_limit_and_keeps_both_texts(
    kind: str, question: int, answer: int, request: pytest.FixtureRequest
) -> None:
    model = reward(request.getfixturevalue(kind), max_tokens=160)
    encoded = model._encode([Message("user", "é" * question)], "ü" * answer)["input_ids"]
    text = model._tokenizer.decode(encoded)
    assert len(encoded) <= 160
    assert text.count("é") > 0
    assert text.count("ü") >= min(answer, 40)


def test_the_question_loses_its_start_before_the_answer_loses_anything(deberta: tuple[Any, Any]) -> None:
    model = reward(deberta, max_tokens=100)
    encoded = model._encode([Message("user", "start " + "x" * 200 + " end")], "the whole answer")["input_ids"]
    text = model._tokenizer.decode(encoded)
    assert "the whole answer" in text
    assert " end" in text and "start" not in text


def test_wrong_models_are_refused(deberta: tuple[Any, Any]) -> None:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    model, tokenizer = deberta
    shape = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 300,
    }
    two = DebertaV2ForSequenceClassification(DebertaV2Config(**shape, num_labels=2))
    with pytest.raises(UserError, match="2 labels"):
        reward((two, tokenizer))
    with pytest.raises(UserError, match="without a mark"):
        reward((model, byte_tokenizer(template=None)))


def test_memory_that_does_not_suffice_halves_the_batch(
    deberta: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reward(deberta, batch_size=8).score(ITEMS)
    small = reward(deberta, batch_size=8)
    tensors, sizes = small._tensors, []

    def limited(batch: list[Any]) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return tensors(batch)

    monkeypatch.setattr(small, "_tensors", limited)
    assert small.score(ITEMS) == pytest.approx(expected, abs=1e-3)
    assert max(sizes) == 8


def test_a_decoder_model_without_a_padding_token_scores_its_items_alone(llama: tuple[Any, Any]) -> None:
    model, tokenizer = llama
    expected = reward(llama).score(ITEMS)
    pad, model.config.pad_token_id = model.config.pad_token_id, None
    try:
        assert reward((model, tokenizer)).score(ITEMS) == pytest.approx(expected, abs=1e-3)
    finally:
        model.config.pad_token_id = pad


def test_a_reward_model_opens_from_its_settings(random_reward: Path) -> None:
    hardware = Hardware("cpu", "test", 1, 1.0, None, None, "", "")
    config = PreferConfig(reward_batch_size=2, reward_max_tokens=32)
    with open_reward_model(ModelConfig(path=str(random_reward)), config, EngineConfig(), hardware) as model:
        assert len(model.score(ITEMS[:3])) == 3
    assert model._model is None


def test_nan_is_a_score_and_not_a_crash(random_reward: Path) -> None:
    model, tokenizer = load(random_reward)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    score = reward((model, tokenizer)).score(ITEMS[:1])[0]
    assert score != score


def test_close_lets_the_model_go(random_reward: Path) -> None:
    model = reward(load(random_reward))
    model.close()
    assert model._model is None
