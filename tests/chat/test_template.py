"""Prompts, pre-query text, end of turn and training masks from any tokenizer's chat template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trl

from random_models import CHATML, LLAMA3, SPECIALS, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

TEMPLATES = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
MAGPIE = Path(__file__).parents[2].parent / "shared" / "data" / "magpie" / "pre_query_templates.json"
MARKS = r"<[|\uff5c][^<>{}'\"]*?[|\uff5c]>|<(?:start|end)_of_turn>|<turn\|>|<\|turn>|\[/?INST\]|<end_of_utterance>"
TEXT = "Two lines:\nthe word assistant, and user."


def tokenizer_with(source: str) -> Any:
    return byte_tokenizer(source, tuple(dict.fromkeys((*SPECIALS, *sorted(set(re.findall(MARKS, source)))))))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda f: f.stem)
def test_every_packaged_template(file: Path) -> None:
    tokenizer = tokenizer_with(file.read_text(encoding="utf-8"))
    template = ChatTemplate.from_tokenizer(tokenizer)
    start = template.pre_query_ids()
    prompt = template.prompt_ids([Message("user", TEXT)])
    assert start == prompt[: len(start)]
    assert start.count(tokenizer.bos_token_id) <= 1
    assert TEXT in tokenizer.decode(prompt)
    assert not re.search("assistant|model|chatbot", tokenizer.decode(start[-12:]).lower())
    ids, trained = template.training_ids([Message("user", TEXT), Message("assistant", TEXT)])
    assert ids[: len(prompt)] == prompt
    assert trained == [False] * len(prompt) + [True] * (len(ids) - len(prompt))
    assert TEXT in tokenizer.decode(ids[len(prompt) :])
    assert ids[-1] in template.stop_ids
    history = [Message("user", "Hi"), Message("assistant", "Hello.")]
    assert len(template.pre_query_ids(None, history)) > len(start)


@pytest.mark.parametrize("source", [CHATML, LLAMA3], ids=["chatml", "llama3"])
def test_system_prompt_is_carried(source: str) -> None:
    tokenizer = byte_tokenizer(source)
    text = tokenizer.decode(ChatTemplate.from_tokenizer(tokenizer).pre_query_ids("Ask about birds."))
    assert "Ask about birds." in text and "assistant" not in text


def test_magpies_hand_written_texts() -> None:
    if not MAGPIE.exists():
        pytest.skip("the hand-written texts are not here")
    known = json.loads(MAGPIE.read_text(encoding="utf-8"))
    for name, model in (("llama3", "meta-llama/Meta-Llama-3-8B-Instruct"), ("qwen2_5", "Qwen/Qwen2.5-3B-Instruct")):
        source = next(f for f in TEMPLATES if f.stem == name).read_text(encoding="utf-8")
        tokenizer = tokenizer_with(source)
        text = tokenizer.decode(ChatTemplate.from_tokenizer(tokenizer).pre_query_ids())
        assert text.replace("<|begin|>", "<|begin_of_text|>") == known[model]["pre_query_template"]


def test_what_cannot_be_used_is_said() -> None:
    with pytest.raises(UserError, match="no chat template"):
        ChatTemplate.from_tokenizer(byte_tokenizer(None))
    with pytest.raises(UserError, match="0 times"):
        ChatTemplate.from_tokenizer(byte_tokenizer("constant"))
    dropping = "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}"
    template = ChatTemplate.from_tokenizer(byte_tokenizer(dropping))
    with pytest.raises(UserError, match="system prompt"):
        template.pre_query_ids("Ask about birds.")


def test_decode_is_clean() -> None:
    tokenizer = byte_tokenizer()
    template = ChatTemplate.from_tokenizer(tokenizer)
    assert template.decode(tokenizer.encode(" é\0x\n")) == "éx"
    template.decode(tokenizer.encode("é")[:1]).encode("utf-8")
