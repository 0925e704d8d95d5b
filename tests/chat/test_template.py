"""Prompts, pre-query text, end of turn and training masks from any tokenizer's chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packaged_templates import TEMPLATES, tokenizer_with
from random_models import CHATML, LLAMA3, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

MAGPIE = Path(__file__).parents[2].parent / "shared" / "data" / "magpie" / "pre_query_templates.json"
TEXT = "Two lines:\nthe word assistant, and user."
HEADERS = ("assistant", "model\n", "chatbot", "gpt:")


@pytest.fixture(scope="module", params=TEMPLATES, ids=lambda f: f.stem)
def packaged(request: pytest.FixtureRequest) -> ChatTemplate:
    return ChatTemplate.from_tokenizer(tokenizer_with(request.param.read_text(encoding="utf-8")))


def test_pre_query_message_and_rest_are_the_whole(packaged: ChatTemplate) -> None:
    tokenizer = packaged.tokenizer
    start, prompt = packaged.pre_query_ids(), packaged.prompt_ids([Message("user", TEXT)])
    message = tokenizer.encode(TEXT, add_special_tokens=False)
    assert prompt[: len(start) + len(message)] == start + message
    rest = prompt[len(start) + len(message) :]
    assert prompt == tokenizer.encode(tokenizer.decode(start) + TEXT + tokenizer.decode(rest), add_special_tokens=False)
    assert start.count(tokenizer.bos_token_id) <= 1 and prompt.count(tokenizer.bos_token_id) <= 1
    assert not any(header in tokenizer.decode(start[-12:]).lower() for header in HEADERS)
    assert set(rest) & set(packaged.stop_ids), "nothing that is rendered after a question would stop one"
    ends = {*packaged.end_of_turn_ids[-1:], tokenizer.eos_token_id, *[i for i in rest if i in packaged.stop_ids][:1]}
    assert not ends & packaged.opening_ids


def test_it_is_what_the_tokenizer_itself_renders(packaged: ChatTemplate) -> None:
    turns = [{"role": "user", "content": TEXT}]
    if packaged._text._parts:
        turns = [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]
    own = packaged.tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, enable_thinking=False, date_string="26 Jul 2024", return_dict=False
    )
    start = packaged.pre_query_ids()
    if "strftime_now" not in packaged._text.source:
        assert own[: len(start)] == start
    assert TEXT in packaged.tokenizer.decode(own)


def test_training_goes_on_where_the_prompt_ends(packaged: ChatTemplate) -> None:
    prompt = packaged.prompt_ids([Message("user", TEXT)])
    ids, trained = packaged.training_ids([Message("user", TEXT), Message("assistant", TEXT)])
    assert ids[: len(prompt)] == prompt
    assert trained == [False] * len(prompt) + [True] * (len(ids) - len(prompt))
    assert TEXT in packaged.tokenizer.decode(ids[len(prompt) :])
    assert ids[-1] in packaged.stop_ids and ids[-1] not in ids[len(prompt) : -1]


def test_the_system_turn_and_earlier_turns_are_carried(packaged: ChatTemplate) -> None:
    history = [Message("user", "Hi, assistant"), Message("assistant", "Hello.\n\nYes?")]
    plain, decode = packaged.pre_query_ids(), packaged.tokenizer.decode
    with_system = packaged.pre_query_ids("Ask about\nbirds.")
    later = packaged.pre_query_ids("Ask about\nbirds.", history)
    for ids in (with_system, later):
        assert "Ask about\nbirds." in decode(ids) and ids.count(packaged.tokenizer.bos_token_id) <= 1
    assert decode(later).index("Hi, assistant") < decode(later).index("Hello.\n\nYes?")
    assert len(packaged.pre_query_ids(None, history)) > len(plain)
    prompt = packaged.prompt_ids([Message("system", "Ask about\nbirds."), *history, Message("user", TEXT)])
    assert prompt[: len(later)] == later


def test_thoughts_are_kept_apart(packaged: ChatTemplate) -> None:
    if packaged.thinks is None:
        pytest.skip("no thoughts in this template")
    encode = packaged.tokenizer.encode
    marks, thought = packaged.thinks, "2 is <even>,\nso yes"
    after = marks.closing + "\n\nYes."
    for text in (f"{marks.opening}\n{thought}\n{after}", f"{thought}\n{after}"):  # the prompt may have opened them
        assert packaged.split_answer(encode(text, add_special_tokens=False), opened=True) == (thought, "Yes.")
    unfinished = encode(f"{marks.opening}\n{thought}", add_special_tokens=False)
    assert packaged.split_answer(unfinished) == (thought, "")
    assert packaged.split_answer(encode("Yes.", add_special_tokens=False)) == ("", "Yes.")
    try:
        stops = packaged.thinking_stop_ids()
    except UserError as error:
        assert "same token" in error.cause
        return
    assert set(stops) <= set(packaged.stop_ids) and packaged.end_of_turn_ids[-1] in stops
    assert not set(stops) & set(encode(marks.closing, add_special_tokens=False))
    asked = packaged.tokenizer.decode(packaged.prompt_ids([Message("user", TEXT)], thinking=True))
    assert TEXT in asked and not asked.rstrip().endswith(marks.closing)


@pytest.mark.parametrize("source", [CHATML, LLAMA3], ids=["chatml", "llama3"])
def test_system_prompt_is_carried(source: str) -> None:
    tokenizer = byte_tokenizer(source)
    text = tokenizer.decode(ChatTemplate.from_tokenizer(tokenizer).pre_query_ids("Ask about birds."))
    assert "Ask about birds." in text and "assistant" not in text


LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL = "{{ bos_token + ' ' }}" + LLAMA2.replace("bos_token + ", "")
PHI3 = (
    "{{ bos_token + ' ' }}{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
BY_HAND = {  # whose text, and a template with the turns of that model
    "meta-llama/Meta-Llama-3-8B-Instruct": "llama3",
    "meta-llama/Meta-Llama-3.1-8B-Instruct": LLAMA3,
    "Qwen/Qwen2-7B-Instruct": CHATML,
    "Qwen/Qwen2.5-3B-Instruct": "qwen2_5",
    "Qwen/Qwen1.5-7B-Chat": CHATML,
    "mistralai/Mistral-7B-Instruct-v0.3": MISTRAL,
    "meta-llama/Llama-2-7b-chat-hf": LLAMA2,
    "microsoft/Phi-3-mini-128k-instruct": PHI3,
}


@pytest.mark.parametrize("model", BY_HAND)
def test_magpies_hand_written_texts(model: str) -> None:
    if not MAGPIE.exists():
        pytest.skip("the hand-written texts are not here")
    known = json.loads(MAGPIE.read_text(encoding="utf-8"))[model]["pre_query_template"]
    stems = {f.stem: f for f in TEMPLATES}
    source = BY_HAND[model]
    tokenizer = tokenizer_with(stems[source].read_text(encoding="utf-8") if source in stems else source)
    text = tokenizer.decode(ChatTemplate.from_tokenizer(tokenizer).pre_query_ids())
    bos = "<|begin_of_text|>" if "begin_of_text" in known else "<s>"
    # A blank between a BOS and the first mark is how the byte-level tokenizer shows no blank at all.
    assert text.replace("<|begin|>", bos).replace("<s>[", "<s> [") == known


def test_what_cannot_be_used_is_said() -> None:
    with pytest.raises(UserError, match="no chat template"):
        ChatTemplate.from_tokenizer(byte_tokenizer(None))
    with pytest.raises(UserError, match="0 times"):
        ChatTemplate.from_tokenizer(byte_tokenizer("constant"))
    dropping = "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}"
    template = ChatTemplate.from_tokenizer(byte_tokenizer(dropping))
    assert template.system_style == "dropped"
    with pytest.raises(UserError, match="system prompt"):
        template.pre_query_ids("Ask about birds.")


def test_decode_is_clean() -> None:
    tokenizer = byte_tokenizer()
    template = ChatTemplate.from_tokenizer(tokenizer)
    assert template.decode(tokenizer.encode(" é\0x\n")) == "éx"
    template.decode(tokenizer.encode("é")[:1]).encode("utf-8")


@pytest.mark.parametrize("kind", ["metaspace", "merging"])
def test_a_border_inside_a_token_is_left_to_the_model(kind: str) -> None:
    """The ids before the message are those that the whole conversation begins with, whatever the message."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    text = "\u2581" if kind == "metaspace" else " "
    letters = [*"WhatxQ?.1(é2", text, "[", "]", "I", "N", "S", "T", "/", "e", "i"]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(letters))}
    merges = [(text, "W"), (text, "a"), (text, "1"), (text, "("), (text, "é"), (text, "x")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    raw = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    if kind == "metaspace":
        raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    raw.add_special_tokens(["<s>", "</s>", "[INST]", "[/INST]"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = LLAMA2
    template = ChatTemplate.from_tokenizer(tokenizer)
    start = template.pre_query_ids()
    assert tokenizer.convert_ids_to_tokens(start) == ["<s>", "[INST]"]
    for message in ("What", "x", "ax", "1x"):
        assert template.prompt_ids([Message("user", message)])[: len(start)] == start


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_text_survives(texts: list[str]) -> None:
    template = _chatml()
    roles = ["user", "assistant"]
    messages = [Message(roles[i % 2], text) for i, text in enumerate(texts)]  # type: ignore[arg-type]
    if messages[-1].role == "assistant":
        messages.append(Message("user", "zq"))
    ids = template.prompt_ids(messages)
    text = template.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    for message in messages:
        assert message.content in text


_TEMPLATES: list[ChatTemplate] = []


def _chatml() -> Any:
    if not _TEMPLATES:
        _TEMPLATES.append(ChatTemplate.from_tokenizer(byte_tokenizer(CHATML)))
    return _TEMPLATES[0]
