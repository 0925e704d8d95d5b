"""The turn formats of many model families, as marks around messages; which of them are tokens varies."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from random_models import byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.records import Message


class Family(NamedTuple):
    """What stands around the messages of each role, and the special tokens among it."""

    system: tuple[str, str] | None
    user: tuple[str, str]
    answer: tuple[str, str]
    tokens: tuple[str, ...]
    bos: bool = True


EOS = "<|im_end|>"  # of the byte-level tokenizer
FAMILIES = {
    "zephyr": Family(
        ("<|system|>\n", f"{EOS}\n"), ("<|user|>\n", f"{EOS}\n"), ("<|assistant|>\n", f"{EOS}\n"), (), False
    ),
    "openchat": Family(("", "<|eot|>"), ("GPT4 User: ", "<|eot|>"), ("GPT4 Assistant:", "<|eot|>"), ("<|eot|>",)),
    "granite": Family(
        ("<|sor|>system<|eor|>", "<|eot|>\n"),
        ("<|sor|>user<|eor|>", "<|eot|>\n"),
        ("<|sor|>assistant<|eor|>", "<|eot|>\n"),
        ("<|sor|>", "<|eor|>", "<|eot|>"),
    ),
    "mistral v7": Family(
        ("[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"),
        ("[INST] ", "[/INST]"),
        (" ", EOS),
        ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]"),
    ),
    "mistral, marks are text": Family(None, ("[INST] ", " [/INST]"), (" ", EOS), ()),
    "colons": Family(("", "\n\n"), ("User: ", "\n\n"), ("Assistant: ", EOS), ()),
    "colons, nothing ends": Family(("", "\n\n"), ("User: ", "\n\n"), ("Bot: ", "\n\n"), ()),
    "hashes": Family(("### System:\n", "\n\n"), ("### User:\n", "\n\n"), ("### Assistant:\n", EOS), ()),
    "kimi": Family(
        ("<|im_system|>system<|mid|>", "<|e|>"),
        ("<|im_user|>user<|mid|>", "<|e|>"),
        ("<|im_assistant|>assistant<|mid|>", "<|e|>"),
        ("<|im_system|>", "<|im_user|>", "<|im_assistant|>", "<|mid|>", "<|e|>"),
        False,
    ),
    "exaone": Family(
        ("[|system|]", "[|endofturn|]\n"),
        ("[|user|]", "\n"),
        ("[|assistant|]", "[|endofturn|]\n"),
        ("[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]"),
        False,
    ),
    "minicpm": Family(None, ("<\u7528\u6237>", ""), ("<AI>", EOS), (), False),
    "baichuan": Family(("", ""), ("<r106>", ""), ("<r107>", EOS), ("<r106>", "<r107>"), False),
    "seed": Family(
        ("<seed:bos>system\n", "<seed:eos>"),
        ("<seed:bos>user\n", "<seed:eos>"),
        ("<seed:bos>assistant\n", "<seed:eos>"),
        ("<seed:bos>", "<seed:eos>"),
        False,
    ),
    "phi 4": Family(
        ("<|im_start|>system<|im_sep|>", EOS),
        ("<|im_start|>user<|im_sep|>", EOS),
        ("<|im_start|>assistant<|im_sep|>", EOS),
        ("<|im_sep|>",),
        False,
    ),
    "glm": Family(("<|sys|>\n", ""), ("<|usr|>\n", ""), ("<|ast|>\n", ""), ("<|sys|>", "<|usr|>", "<|ast|>"), False),
    "deepseek": Family(
        ("", ""), ("<\uff5cUser\uff5c>", ""), ("<\uff5cAI\uff5c>", EOS), ("<\uff5cUser\uff5c>", "<\uff5cAI\uff5c>")
    ),
    "harmony": Family(
        ("<|start|>system<|msg|>", "<|end|>"),
        ("<|start|>user<|msg|>", "<|end|>"),
        ("<|start|>assistant<|ch|>final<|msg|>", "<|end|>"),
        ("<|start|>", "<|msg|>", "<|ch|>", "<|end|>"),
        False,
    ),
}


def template(family: Family, asks: bool = True) -> ChatTemplate:
    def shown(marks: tuple[str, str]) -> str:
        before, after = (repr(mark) for mark in marks)
        return f"{{{{ {before} + m.content + {after} }}}}"

    refused = "{{ raise_exception('no system') }}"
    source = (
        ("{{ bos_token }}" if family.bos else "")
        + "{% for m in messages %}{% if m.role == 'system' %}"
        + (shown(family.system) if family.system else refused)
        + "{% elif m.role == 'user' %}"
        + shown(family.user)
        + "{% else %}"
        + shown(family.answer)
        + "{% endif %}{% endfor %}"
        + (f"{{% if add_generation_prompt %}}{{{{ {family.answer[0]!r} }}}}{{% endif %}}" if asks else "")
    )
    base = ("<|begin|>", EOS, "<|im_start|>", "<|pad|>")
    return ChatTemplate.from_tokenizer(byte_tokenizer(source, (*base, *family.tokens)))


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_turns_are_found(name: str, asks: bool) -> None:
    family = FAMILIES[name]
    found = template(family, asks)
    decode, encode = found.tokenizer.decode, found.tokenizer.encode
    bos = "<|begin|>" if family.bos else ""
    assert decode(found.pre_query_ids()) == bos + family.user[0]
    text = "What does an assistant\ndo?"
    asked = bos + family.user[0] + text + family.user[1] + family.answer[0]
    assert decode(found.prompt_ids([Message("user", text)])).rstrip() == asked.rstrip()
    system = (family.system or ("", "\n\n"))[0] + "Ask of owls." + (family.system or ("", "\n\n"))[1]
    steered = bos + system + family.user[0] if family.system else bos + family.user[0] + system
    assert decode(found.pre_query_ids("Ask of owls.")) == steered
    ids, trained = found.training_ids([Message("user", text), Message("assistant", "It helps.")])
    assert (
        decode(ids).startswith(asked.rstrip()) and decode([i for i, t in zip(ids, trained, strict=True) if t]).strip()
    )
    assert ids[-1] in found.stop_ids
    # A model that goes on after its turn is stopped by a token, or its text is cut.
    after_user = encode(family.user[1] + family.answer[0], add_special_tokens=False)
    assert set(after_user) & set(found.stop_ids) or found.decode_user(encode(text) + after_user) == (text, True)
    after_answer = encode(family.answer[1] + family.user[0], add_special_tokens=False)
    assert set(after_answer) & set(found.stop_ids) or found.decode(encode("It helps.") + after_answer) == "It helps."
