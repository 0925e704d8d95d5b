"""The reward model: batch-independent scores on any architecture, heads, both kinds of input, cutting, refusals."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from random_models import CHATML, byte_tokenizer, write_model
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, PreferConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.loading import load_reward_model
from synthetic_instruction_tuner.preference.reward.input import FIXED_DATE, RewardInput
from synthetic_instruction_tuner.preference.reward.model import RewardModel, open_reward_model
from synthetic_instruction_tuner.records import Message, question_text

Loaded = tuple[Any, Any]
ITEMS = [([Message("user", "Why is the sky blue? " * (i % 4 + 1))], "Because " + "of light " * i) for i in range(11)]
ENCODERS = ("DebertaV2", "Bert", "Roberta", "ModernBert")
DECODERS = ("Llama", "Qwen2", "Qwen3", "Mistral", "Gemma", "Gemma2", "Phi3", "GPT2", "GPTNeoX")
OTHERS = ("XLNet", "T5", "Bart")  # XLNet reads its last place, padding or not; T5 and Bart their last end of text


@cache
def loaded(arch: str, labels: int = 1) -> Loaded:
    """A small classifier of the architecture with random weights, and its tokenizer."""
    import transformers as t

    torch.manual_seed(0)
    decoder = arch in DECODERS
    tokenizer = byte_tokenizer(CHATML if decoder else None, pair=not decoder)
    config = getattr(t, f"{arch}Config")(**shape(arch, tokenizer), num_labels=labels, pad_token_id=pad(tokenizer))
    model = getattr(t, f"{arch}ForSequenceClassification")(config).float().eval()
    for weights in model.parameters():
        if weights.dim() > 1:  # as usual for a first step, all scores would be the same to three digits
            torch.nn.init.normal_(weights, std=0.3)
    return model, tokenizer


def pad(tokenizer: Any) -> int:
    return int(tokenizer.pad_token_id)


def shape(arch: str, tokenizer: Any) -> dict[str, Any]:
    common: dict[str, Any] = {"vocab_size": len(tokenizer), "bos_token_id": tokenizer.bos_token_id}
    common["eos_token_id"] = tokenizer.eos_token_id
    if arch == "T5":
        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
        return common | sizes | {"decoder_start_token_id": pad(tokenizer)}
    if arch == "Bart":
        layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
        sizes = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 1024}
        return common | layers | sizes | {"decoder_start_token_id": tokenizer.bos_token_id}
    if arch == "XLNet":
        return common | {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}
    if arch == "GPT2":
        return common | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 1024}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    common |= sizes | {"max_position_embeddings": 1024}
    if arch == "DebertaV2":
        common |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 32}
        common |= {"type_vocab_size": 0}
    if arch in DECODERS and arch != "GPTNeoX":
        common |= {"num_key_value_heads": 2, "head_dim": 8}
    return common


def reward(pair: Loaded, batch_size: int = 4, max_tokens: int = 200, **more: Any) -> RewardModel:
    return RewardModel(*pair, batch_size=batch_size, max_tokens=max_tokens, **more)


@cache
def rewards(arch: str, batch_size: int) -> RewardModel:
    return reward(loaded(arch), batch_size=batch_size)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
CONVERSATIONS = st.lists(st.tuples(TEXTS, TEXTS), min_size=2, max_size=9)


@pytest.mark.parametrize("arch", [*ENCODERS, *DECODERS, *OTHERS])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(texts=CONVERSATIONS)
def test_a_batch_scores_like_single_items(arch: str, texts: list[tuple[str, str]]) -> None:
    items = [([Message("user", question)], answer) for question, answer in texts]
    assert rewards(arch, 4).score(items) == pytest.approx(rewards(arch, 1).score(items), abs=1e-3)


@pytest.mark.parametrize("arch", [*ENCODERS, *DECODERS, *OTHERS])
def test_scores_differ_and_stay_in_order(arch: str) -> None:
    seen: list[int] = []
    together = rewards(arch, 4).score(ITEMS, seen.append)
    alone = [rewards(arch, 1).score([item])[0] for item in ITEMS]
    assert together == pytest.approx(alone, abs=1e-3)
    assert len({round(score, 2) for score in alone}) > 5, "the scores differ, so a wrong order would show"
    assert sum(seen) == len(ITEMS)


def test_padding_is_tried_out() -> None:
    found = {arch: rewards(arch, 4).padding for arch in (*ENCODERS, *DECODERS, *OTHERS)}
    assert {found[arch] for arch in (*ENCODERS, *DECODERS)} == {"right"}
    assert found["XLNet"] == "left"
    assert rewards("Llama", 1).padding == "none"


def test_a_model_that_no_padding_leaves_alone_scores_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = loaded("Llama")
    forward = type(model).forward

    def shifted(self: Any, **inputs: Any) -> Any:
        output = forward(self, **inputs)
        output.logits += inputs["input_ids"].shape[1] * len(inputs["input_ids"])
        return output

    monkeypatch.setattr(type(model), "forward", shifted)
    one_by_one = reward((model, tokenizer))
    assert one_by_one.padding == "none"
    assert one_by_one.score(ITEMS[:3]) == [one_by_one.score([item])[0] for item in ITEMS[:3]]


@pytest.mark.parametrize("arch", ["Llama", "Mistral", "GPT2"])
def test_decoders_without_a_padding_token_are_batched_all_the_same(arch: str) -> None:
    expected = rewards(arch, 4).score(ITEMS)
    model, tokenizer = loaded(arch)
    before, model.config.pad_token_id = model.config.pad_token_id, None
    try:
        bare = reward((model, tokenizer))
        assert bare.padding == "right"
        assert bare.score(ITEMS) == pytest.approx(expected, abs=1e-3)
        assert model.config.pad_token_id is None
        everything = ["".join(map(chr, range(1, 1200)))]  # hardly a byte is left to pad with
        items = [([Message("user", text)], text) for text in (*everything, "short")]
        assert bare.score(items) == pytest.approx([bare.score([item])[0] for item in items], abs=1e-3)
    finally:
        model.config.pad_token_id = before


def test_no_token_left_to_pad_with(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = loaded("Llama")
    expected = rewards("Llama", 1).score(ITEMS[:3])
    monkeypatch.setattr(model.config, "pad_token_id", None)
    bare = reward((model, tokenizer))
    size, model.config.vocab_size = model.config.vocab_size, 1  # as if only token 0 existed besides those in use
    items = [([Message("user", "!")], answer) for _, answer in ITEMS[:3]]
    try:
        assert bare.score(items) == pytest.approx([bare.score([item])[0] for item in items], abs=1e-3)
        assert len(expected) == 3
    finally:
        model.config.vocab_size = size


# Which output is the score


def logits(arch: str, labels: int, text: str) -> torch.Tensor:
    model, tokenizer = loaded(arch, labels)
    with torch.inference_mode():
        return model(**tokenizer(text, "So.", return_tensors="pt")).logits[0]


def test_of_two_outputs_the_score_is_the_log_odds_of_the_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = loaded("DebertaV2", 2)
    item = [([Message("user", "Why?")], "So.")]
    bad, good = logits("DebertaV2", 2, "Why?").tolist()
    assert reward(pair).score(item) == pytest.approx([good - bad], abs=1e-4)  # LABEL_0, LABEL_1
    monkeypatch.setattr(pair[0].config, "id2label", {0: "chosen", 1: "rejected"})
    assert reward(pair).score(item) == pytest.approx([bad - good], abs=1e-4)
    assert reward(pair, label="rejected").score(item) == pytest.approx([good], abs=1e-4)
    monkeypatch.setattr(pair[0].config, "id2label", {0: "safety", 1: "quality"})
    with pytest.raises(UserError, match="2 outputs: safety, quality"):
        reward(pair)


def test_of_several_outputs_the_user_names_one() -> None:
    pair = loaded("DebertaV2", 5)
    item = [([Message("user", "Why?")], "So.")]
    expected = logits("DebertaV2", 5, "Why?").tolist()
    assert reward(pair, label="3").score(item) == pytest.approx([expected[3]], abs=1e-4)
    assert reward(pair, label="label_2").score(item) == pytest.approx([expected[2]], abs=1e-4)
    for label in ("", "helpfulness", "5"):
        with pytest.raises(UserError, match="5 outputs"):
            reward(pair, label=label)


def test_a_model_that_was_never_trained_to_score_is_refused(random_llama: Path) -> None:
    with pytest.raises(UserError, match="not a reward model") as caught:
        load_reward_model(ModelConfig(path=str(random_llama)), "float32", "cpu")
    assert "score.weight" in caught.value.cause


# What the model reads


def test_pairs_are_read_as_question_and_answer() -> None:
    model, tokenizer = loaded("DebertaV2")
    messages = [
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
        Message("user", "Why?"),
    ]
    with torch.inference_mode():
        expected = model(**tokenizer("Be brief.\nHi\nYes?\nWhy?", "So.", return_tensors="pt")).logits[0, 0].item()
    assert rewards("DebertaV2", 4).pairs
    assert rewards("DebertaV2", 4).score([(messages, "So.")]) == pytest.approx([expected], abs=1e-4)
    assert question_text(messages[:1]) == "Be brief."


def test_decoder_models_read_the_rendered_conversation() -> None:
    model, tokenizer = loaded("Llama")
    text = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nSo.<|im_end|>\n"
    with torch.inference_mode():
        expected = model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits[0, 0].item()
    assert not rewards("Llama", 4).pairs
    assert rewards("Llama", 4).score([([Message("user", "Why?")], "So.")]) == pytest.approx([expected], abs=1e-4)


def test_the_form_is_decided_by_tokenizer_and_architecture_and_can_be_set() -> None:
    encoder, decoder = loaded("DebertaV2")[0], loaded("Llama")[0]
    both, chat, pairs = byte_tokenizer(pair=True), byte_tokenizer(), byte_tokenizer(template=None, pair=True)
    assert reward((encoder, both)).pairs and reward((encoder, pairs)).pairs and reward((decoder, pairs)).pairs
    assert not reward((decoder, both)).pairs and not reward((encoder, chat)).pairs
    assert not reward((encoder, both), form="chat").pairs and reward((decoder, both), form="pair").pairs
    for pair, form in (((encoder, pairs), "chat"), ((decoder, chat), "pair")):
        with pytest.raises(UserError, match="without a separator"):
            reward(pair, form=form)
    with pytest.raises(UserError, match="without a separator"):
        reward((encoder, byte_tokenizer(template=None)))


def test_a_template_without_system_turns_gets_the_system_prompt_in_the_first_question() -> None:
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
    model, _ = loaded("Llama")
    strict = reward((model, byte_tokenizer(refuses)))
    encoded = strict._input.encode([Message("system", "Be brief."), Message("user", "Why?")], "So.")["input_ids"]
    assert "user\nBe brief.\n\nWhy?" in strict._input.tokenizer.decode(encoded)


def test_a_template_with_a_clock_scores_the_same_tomorrow() -> None:
    clock = "{{ strftime_now('%d %b %Y %H:%M:%S.%f') }}" + CHATML
    model, _ = loaded("Llama")
    encoded = reward((model, byte_tokenizer(clock)))._input.encode([Message("user", "Why?")], "So.")["input_ids"]
    assert byte_tokenizer().decode(encoded).startswith(FIXED_DATE)


@pytest.mark.parametrize("arch", ["DebertaV2", "Llama"])
@pytest.mark.parametrize(("question", "answer"), [(500, 40), (40, 500), (500, 500), (3, 500), (500, 0)])
def test_a_long_item_is_cut_to_the_limit_and_keeps_both_texts(arch: str, question: int, answer: int) -> None:
    model = reward(loaded(arch), max_tokens=160)
    encoded = model._input.encode([Message("user", "é" * question)], "ü" * answer)["input_ids"]
    text = model._input.tokenizer.decode(encoded)
    assert len(encoded) <= 160
    assert text.count("é") > 0
    assert text.count("ü") >= min(answer, 40)


def test_the_question_loses_its_start_before_the_answer_loses_anything() -> None:
    model = reward(loaded("DebertaV2"), max_tokens=100)
    encoded = model._input.encode([Message("user", "start " + "x" * 200 + " end")], "the whole answer")["input_ids"]
    text = model._input.tokenizer.decode(encoded)
    assert "the whole answer" in text
    assert " end" in text and "start" not in text


def test_the_tokenizer_s_own_limit_counts_too() -> None:
    model, tokenizer = loaded("Roberta")
    tokenizer.model_max_length = 64
    try:
        items = [([Message("user", "long " * 400)], "answer " * 400)]
        assert len(reward((model, tokenizer), max_tokens=4000)._input.encode(*items[0])["input_ids"]) <= 64
    finally:
        tokenizer.model_max_length = 10**30


@pytest.mark.parametrize(
    "text",
    ["", "\0", "a\0b", "\ud800 \udfff", "<|im_end|>", "<|pad|>" * 5, "😀" * 300, "\n" * 10_000, "x" * 200_000],
)
@pytest.mark.parametrize("arch", ["DebertaV2", "Llama"])
def test_no_text_does_harm(arch: str, text: str) -> None:
    items = [([Message("user", text)], "fine"), ([Message("user", "fine")], text)]
    scores = rewards(arch, 4).score(items)
    assert scores == pytest.approx(rewards(arch, 1).score(items), abs=1e-3) and all(s == s for s in scores)


@cache
def unigram_tokenizer() -> Any:
    """A tokenizer like DeBERTa's, whose pieces are put together from letters, those of special tokens among them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    pieces = [(name, 0.0) for name in special] + [(letter, -5.0) for letter in "▁[]SEPabcgortx. "]
    raw = Tokenizer(models.Unigram(pieces, unk_id=3))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.add_special_tokens(special)
    marks = [("[CLS]", 1), ("[SEP]", 2)]
    raw.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", marks)
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names)


@pytest.mark.parametrize("tokens", [200, 20])
@pytest.mark.parametrize("kind", ["pair", "chat", "unigram"])
def test_special_tokens_in_a_text_are_letters_to_the_model(kind: str, tokens: int) -> None:
    tokenizer = {"pair": byte_tokenizer(pair=True), "chat": byte_tokenizer(), "unigram": unigram_tokenizer()}[kind]
    read = RewardInput(tokenizer, loaded("Llama" if kind == "chat" else "DebertaV2")[0].config, "auto", tokens)
    special = [name for name in tokenizer.get_added_vocab() if name != tokenizer.unk_token]
    ids = set(tokenizer.convert_tokens_to_ids(special))
    plain, typed = "cat or box. ", "".join(f"{name}{name} box" for name in special) * (tokens // 20)

    def marks(question: str, answer: str) -> list[int]:
        return [i for i in read.encode([Message("user", question)], answer)["input_ids"] if i in ids]

    framing = marks("a", "b")
    assert marks(plain + typed, plain) == framing[: len(marks(plain + typed, plain))]
    assert marks(plain, plain + typed) == framing[: len(marks(plain, plain + typed))]


@pytest.mark.parametrize("text", ["<b>bold</b> [x] | y", "a < b > c", "naïve café 日本語", "[ SEP ]", "im_end"])
def test_ordinary_texts_are_encoded_as_the_tokenizer_does(text: str) -> None:
    tokenizer = byte_tokenizer(pair=True)
    read = RewardInput(tokenizer, loaded("DebertaV2")[0].config, "auto", 200)
    assert read.encode([Message("user", text)], text)["input_ids"] == tokenizer(text, text)["input_ids"]


# Memory and settings


@pytest.mark.parametrize("arch", ["DebertaV2", "Llama"])
@given(items=st.lists(st.tuples(st.text(max_size=40), st.just("") | st.text(max_size=60)), max_size=6))
@settings(max_examples=20, deadline=None)
def test_items_that_are_encoded_together_are_read_as_alone(arch: str, items: list[tuple[str, str]]) -> None:
    model, tokenizer = loaded(arch)
    read = RewardInput(tokenizer, model.config, "auto", 50)
    asked = [([Message("user", question)], answer) for question, answer in items]
    together = read.encode_all(asked)
    assert together == [read.encode(*item) for item in asked]
    for (question, answer), one in zip(items, together, strict=True):
        if read.pairs and len(one["input_ids"]) < 50 and "[" not in question + answer:
            assert one == dict(tokenizer(question, answer, return_attention_mask=True))


def test_memory_that_does_not_suffice_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reward(loaded("DebertaV2"), batch_size=8).score(ITEMS)
    small = reward(loaded("DebertaV2"), batch_size=8)
    tensors, sizes = small._tensors, []

    def limited(batch: list[Any], pad: int) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return tensors(batch, pad)

    monkeypatch.setattr(small, "_tensors", limited)
    assert small.score(ITEMS) == pytest.approx(expected, abs=1e-3)
    assert max(sizes) == 8


def test_a_reward_model_opens_from_its_settings(random_reward: Path) -> None:
    hardware = Hardware("cpu", "test", 1, 1.0, None, None, "", "")
    config = PreferConfig(reward_batch_size=2, reward_max_tokens=32, reward_label="0", reward_input="pair")
    with open_reward_model(ModelConfig(path=str(random_reward)), config, EngineConfig(), hardware) as model:
        assert len(model.score(ITEMS[:3])) == 3
        assert model._batch_size == 2 and model._input.max_tokens == 32
    assert model._model is None
    for wrong in ({"reward_label": "quality"}, {"reward_input": "chat", "reward_label": "7"}):
        with (
            pytest.raises(UserError),
            open_reward_model(ModelConfig(path=str(random_reward)), PreferConfig(**wrong), EngineConfig(), hardware),
        ):
            pass


def test_nothing_holds_the_model_when_its_memory_is_looked_at(
    random_reward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware = Hardware("cpu", "test", 1, 1.0, None, None, "", "")
    held: list[weakref.ref[Any]] = []

    @contextmanager
    def looked_at(name: str, device: str) -> Iterator[None]:
        yield
        gc.collect()
        assert [reference() for reference in held] == [None]

    def loaded(*args: Any) -> Any:
        model = load_reward_model(*args)
        held.append(weakref.ref(model))
        return model

    monkeypatch.setattr("synthetic_instruction_tuner.preference.reward.model.memory_freed", looked_at)
    monkeypatch.setattr("synthetic_instruction_tuner.models.loading.load_reward_model", loaded)
    with open_reward_model(ModelConfig(path=str(random_reward)), PreferConfig(), EngineConfig(), hardware):
        assert held[0]() is not None


def test_a_decoder_opens_from_its_files(tmp_path: Path) -> None:
    from transformers import LlamaForSequenceClassification

    folder = write_model(tmp_path / "rm", "llama")
    torch.manual_seed(0)
    LlamaForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    hardware = Hardware("cpu", "test", 1, 1.0, None, None, "", "")
    with open_reward_model(ModelConfig(path=str(folder)), PreferConfig(), EngineConfig(), hardware) as model:
        assert not model.pairs and len(set(model.score(ITEMS))) > 5


def test_nan_is_a_score_and_not_a_crash() -> None:
    import copy

    model, tokenizer = copy.deepcopy(loaded("DebertaV2"))
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    score = reward((model, tokenizer)).score(ITEMS[:1])[0]
    assert score != score


def test_close_lets_the_model_go() -> None:
    model = reward(loaded("Llama"))
    model.close()
    assert model._model is None
