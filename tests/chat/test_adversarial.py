"""Templates that do odd things: each works, or is refused with the reason."""

from __future__ import annotations

import pytest

from packaged_templates import TEMPLATES, tokenizer_with
from random_models import CHATML, LLAMA3, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
LOOP = "{% for m in messages %}" + TURN + "{% endfor %}" + ASK
USER = "<|im_start|>user\n"
ALTERNATE = (
    "{% for m in messages if m.role != 'system' %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}"
)
FIRST_USER = (  # the system prompt goes into the first user's message
    "{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set rest = messages[1:] %}"
    "{% else %}{% set s = '' %}{% set rest = messages %}{% endif %}{% for m in rest %}"
    "{% if m.role == 'user' %}[INST] {% if loop.first and s %}<<SYS>>\n{{ s }}\n<</SYS>>\n\n{% endif %}{{ m.content }}"
    " [/INST]{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
LAST_USER = FIRST_USER.replace(
    "loop.first and s", "m == rest | selectattr('role', 'equalto', 'user') | list | last and s"
)
VICUNA = (
    "{% if messages[0].role == 'system' %}{{ messages[0].content }} {% else %}A chat between a user and an assistant. "
    "{% endif %}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'assistant' %}"
    "ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
ALPACA = (
    "{{ bos_token }}Below is an instruction.\n\n{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n"
    "{{ m.content | trim }}\n\n{% elif m.role == 'assistant' %}### Response:\n{{ m.content | trim }}\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
ROUNDS = (
    "{% set n = namespace(i=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set n.i = n.i + 1 %}"
    "[Round {{ n.i }}]\n\n问：{{ m.content }}\n\n{% elif m.role == 'assistant' %}答：{{ m.content }}{{ eos_token }}\n\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}答：{% endif %}"
)
TOOLS = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% elif messages[0].role != 'system' %}"
    "<|im_start|>system\nYou have no tools.<|im_end|>\n{% endif %}"
)
DATED = "<|im_start|>system\nToday is {{ strftime_now('%d %B %Y, %H:%M:%S') }}.<|im_end|>\n"
THINKS = (
    "{% for m in messages %}{% if m.role == 'assistant' and '</think>' in m.content %}"
    "<|im_start|>assistant\n{{ m.content.split('</think>')[-1].lstrip() }}<|im_end|>\n{% else %}" + TURN + "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
TOGGLED = (
    "{% for m in messages %}" + TURN + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
NEEDS_SYSTEM = "{% if messages[0].role != 'system' %}{{ raise_exception('Begin with a system message') }}{% endif %}"
LAST_IS_USER = (
    "{% if add_generation_prompt and messages[-1].role != 'user' %}"
    "{{ raise_exception('Last must be user') }}{% endif %}"
)

WORKS = {  # template, what stands right before a user's message, what stands right before the answer
    "plain": (LOOP, USER, "<|im_start|>assistant\n"),
    "strips": (LOOP.replace("m.content", "m.content.strip()"), USER, "<|im_start|>assistant\n"),
    "strips, trim filter": (LLAMA3, "user<|end_header_id|>\n\n", "assistant<|end_header_id|>\n\n"),
    "injects the date": (DATED + LOOP, USER, "<|im_start|>assistant\n"),
    "must alternate": (ALTERNATE + LOOP, USER, "<|im_start|>assistant\n"),
    "refuses system": (NO_SYSTEM + LOOP, USER, "<|im_start|>assistant\n"),
    "needs system": (NEEDS_SYSTEM + LOOP, USER, "<|im_start|>assistant\n"),
    "default system": (TOOLS + LOOP, USER, "<|im_start|>assistant\n"),
    "last must be user": (LAST_IS_USER + LOOP, USER, "<|im_start|>assistant\n"),
    "always asks": (LOOP.replace("{% if add_generation_prompt %}", "{% if true %}"), USER, "<|im_start|>assistant\n"),
    "never asks": (LOOP.partition("{% if add")[0], USER, "<|im_start|>assistant\n"),
    "asks with a blank": (LOOP.replace("assistant\n{% endif %}", "assistant \n{% endif %}"), USER, "assistant\n"),
    "asks unless it was answered": (
        LOOP.replace("if add_generation_prompt", "if add_generation_prompt and messages[-1].role != 'assistant'"),
        USER,
        "<|im_start|>assistant\n",
    ),
    "opens thoughts": (THINKS, USER, "<|im_start|>assistant\n"),
    "thinking switch": (TOGGLED, USER, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    "system in the first message": (FIRST_USER, "[INST] ", " [/INST]"),
    "system in the last message": (LAST_USER, "[INST] ", " [/INST]"),
    "plain words": (VICUNA, "USER: ", "ASSISTANT:"),
    "headings": (ALPACA, "### Instruction:\n", "### Response:\n"),
    "numbered rounds": (ROUNDS, "[Round 1]\n\n问：", "答："),
    "lists of parts": (LOOP.replace("m.content", "m.content[0].text"), USER, "<|im_start|>assistant\n"),
    "text in BOS twice": ("{{ bos_token }}" + LLAMA3, "user<|end_header_id|>\n\n", "assistant<|end_header_id|>\n\n"),
    "a tail after the message": (
        LOOP.replace("{{ m.content }}", "{{ m.content }}{% if m.role == 'user' %} /no_think{% endif %}"),
        USER,
        "<|im_start|>assistant\n",
    ),
}


def use(source: str) -> ChatTemplate:
    return ChatTemplate.from_tokenizer(tokenizer_with(source))


@pytest.mark.parametrize("name", WORKS)
def test_it_works(name: str) -> None:
    source, before_user, before_answer = WORKS[name]
    template = use(source)
    decode, bos = template.tokenizer.decode, template.tokenizer.bos_token_id
    text = "Is an assistant\n\na [INST] person? /no_think or {{ 1 }}"
    start, prompt = template.pre_query_ids(), template.prompt_ids([Message("user", text)])
    assert prompt[: len(start)] == start and decode(start).endswith(before_user)
    assert decode(prompt[len(start) :]).startswith(text) and decode(prompt).rstrip(" ").endswith(before_answer)
    assert prompt.count(bos) <= 1 + name.count("system in the")
    history = [Message("user", "Hi"), Message("assistant", "Hello.")]
    later = template.pre_query_ids(None, history)
    assert decode(later).index("Hi") < decode(later).index("Hello.") < len(decode(later)) - len(before_user)
    if "words" not in name and name not in ("headings", "numbered rounds"):
        assert "Ask of birds." in decode(template.pre_query_ids("Ask of birds."))
        assert "Ask of birds." in decode(template.pre_query_ids("Ask of birds.", history))
    ids, trained = template.training_ids([Message("user", text), Message("assistant", "It is.")])
    assert ids[: len(prompt)] == prompt and "It is." in decode(ids[len(prompt) :])
    assert all(trained[len(prompt) :]) and ids[-1] in template.stop_ids
    assert template.pre_query_ids() == use(source).pre_query_ids()  # also tomorrow


FAILS = {
    "no Jinja": (LOOP.replace("{% endfor %}", ""), "no valid Jinja template .line"),
    "changes letters": (LOOP.replace("m.content", "m.content | upper"), "changes its letters"),
    "quotes the message": (LOOP.replace("m.content", "m.content | tojson"), "depends on the message"),
    "joins lines": (LOOP.replace("m.content", "m.content.split() | join(' ')"), "depends on the message"),
    "shows it twice": (LOOP.replace("{{ m.content }}", "{{ m.content }}|{{ m.content }}"), "2 times"),
    "shows the last one only": ("Q: {{ messages[-1].content }}\nA:", "omits the question"),
    "never shows an answer": (
        LOOP.replace("for m in messages", "for m in messages if m.role != 'assistant'"),
        "0 times",
    ),
    "refuses answers": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no gpt') }}{% endif %}{% endfor %}"
        + LOOP,
        r"rejects the turns user, assistant \(no gpt\)",
    ),
    "depends on length": (
        LOOP.replace("{{ m.content }}", "{{ m.content }}{{ m.content | length }}"),
        "depends on the message",
    ),
    "undefined": ("{{ config.model_type }}" + LOOP, "rejects the turns"),
    "the assistant first": (
        "<|im_start|>assistant\nHow can I help?<|im_end|>\n" + LOOP,
        "assistant's turn begins before the user's",
    ),
}


@pytest.mark.parametrize("name", FAILS)
def test_it_is_refused_with_the_reason(name: str) -> None:
    source, reason = FAILS[name]
    with pytest.raises(UserError, match=reason) as error:
        use(source)
    assert error.value.problem and error.value.fix


def test_nothing_that_marks_a_users_turn() -> None:
    bare = use("{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}")
    assert bare.prompt_ids([Message("user", "a")])  # a student can be trained with it
    with pytest.raises(UserError, match="there is nothing before the user's message"):
        bare.pre_query_ids()
    blank = use("{% for m in messages %}{% if m.role == 'user' %}Q: {% endif %}{{ m.content }}\n{% endfor %}")
    with pytest.raises(UserError, match="white space ends a user's turn"):
        blank.pre_query_ids()


def test_named_templates() -> None:
    tokenizer = byte_tokenizer(None)
    tokenizer.chat_template = {"default": CHATML, "tool_use": "{{ tools }}"}
    assert ChatTemplate.from_tokenizer(tokenizer).pre_query_ids()
    tokenizer.chat_template = {"rag": CHATML, "tool_use": "{{ tools }}"}
    with pytest.raises(UserError, match="cannot be used"):
        ChatTemplate.from_tokenizer(tokenizer)


def test_a_system_prompt_in_front_of_the_first_message() -> None:
    template = use(NO_SYSTEM + LOOP)
    assert template.system_style == "folded"
    decode, system = template.tokenizer.decode, "Be brief.\n\nAsk of birds."
    assert decode(template.pre_query_ids(system)) == f"{USER}{system}\n\n"
    prompt = template.prompt_ids([Message("system", system), Message("user", "Why?")])
    assert decode(prompt).startswith(f"{USER}{system}\n\nWhy?<|im_end|>")
    history = [Message("user", "Hi"), Message("assistant", "Hello.")]
    assert decode(template.pre_query_ids(system, history)).startswith(f"{USER}{system}\n\nHi<|im_end|>")
    later = decode(template.pre_query_ids(system, history))
    assert later.endswith(USER) and later.count(system) == 1


def test_a_system_prompt_that_the_template_must_have() -> None:
    decode = use(NEEDS_SYSTEM + LOOP).tokenizer.decode
    assert "You are a helpful assistant." in decode(use(NEEDS_SYSTEM + LOOP).pre_query_ids())
    assert "You are" not in decode(use(NEEDS_SYSTEM + LOOP).pre_query_ids("Ask of birds."))


def test_the_same_ids_on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime

    from transformers.utils import chat_template_utils

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime(2031, 5, 6)

    before = use(DATED + LOOP).pre_query_ids()
    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    assert use(DATED + LOOP).pre_query_ids() == before


def test_plain_words_end_a_turn_where_no_token_does() -> None:
    vicuna, alpaca = use(VICUNA), use(ALPACA)
    encode = vicuna.tokenizer.encode
    assert vicuna.decode_user(encode("Why? ASSISTANT: Because.")) == ("Why?", True)
    assert vicuna.decode_user(encode("Is an assistant")) == ("Is an assistant", False)
    assert alpaca.decode(encode("Because.\n\n### Instruction:\nWhy?")) == "Because."
    assert alpaca.decode(encode("Because ### is a heading")) == "Because ### is a heading"
    tailed = use(WORKS["a tail after the message"][0])
    assert tailed.decode_user(encode("Why? /no_think")) == ("Why?", False)


@pytest.mark.parametrize(
    ("source", "leak", "reply"),
    [
        (LLAMA3, "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|start_header_id|>user<|end_header_id|>\n\n"),
        (CHATML, "<|im_start|>assistant\n", "<|im_start|>user\n"),
        (THINKS, "<|im_start|>assistant\n<think>\n", "<|im_start|>user\n"),
    ],
    ids=["llama3", "chatml", "thinking"],
)
def test_a_turn_ends_where_a_special_token_begins_another(source: str, leak: str, reply: str) -> None:
    template = use(source)
    encode = template.tokenizer.encode
    assert template.decode_user(encode(f"What is rain?{leak}Rain is water.")) == ("What is rain?", True)
    assert template.decode(encode(f"Rain is water.{reply}What is snow?")) == "Rain is water."
    assert set(encode(leak)[:1]) == template.opening_ids <= set(template.stop_ids)


def test_the_marks_around_thoughts_begin_no_turn() -> None:
    r1 = use(next(f for f in TEMPLATES if f.stem == "deepseek_r1_distill").read_text(encoding="utf-8"))
    names = set(r1.tokenizer.convert_ids_to_tokens(list(r1.stop_ids)))
    assert "<\uff5cUser\uff5c>" in names and not names & {"<think>", "</think>"}


def test_a_closed_block_of_thoughts_keeps_a_model_from_thinking() -> None:
    template = use(TOGGLED)
    question = [Message("user", "Hi")]
    plain, thinking = template.prompt_ids(question), template.prompt_ids(question, thinking=True)
    decode = template.tokenizer.decode
    assert decode(plain) == decode(thinking) + "<think>\n\n</think>\n\n"
    ids, _ = template.training_ids([*question, Message("assistant", "Yes.")])
    assert ids[: len(plain)] == plain


def test_a_text_about_the_marks_keeps_its_words() -> None:
    talk = "Reasoning models wrap text in tags. The </think> tag closes it."
    for source in (TOGGLED, THINKS):
        template = use(source)
        encode = template.tokenizer.encode
        assert template.decode(encode(talk)) == talk
        assert template.decode(encode(f"\n</think>\n{talk}")) == talk
    assert template.split_answer(encode("2 < 3.</think>Yes."), opened=True) == ("2 < 3.", "Yes.")


def test_white_space_tokens_stop_nothing() -> None:
    """Some tokenizers add runs of blanks as tokens; they are text."""
    from tokenizers import AddedToken

    tokenizer = byte_tokenizer(LOOP.replace("<|im_end|>\n", "    <|im_end|>\n"))
    tokenizer.add_tokens([AddedToken("    ", normalized=False)])
    template = ChatTemplate.from_tokenizer(tokenizer)
    assert tokenizer.convert_tokens_to_ids("    ") not in template.stop_ids
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in template.stop_ids
