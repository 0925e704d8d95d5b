"""Templates of thinking models: no thought becomes an answer, and every mark that closes an answer is trained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packaged_templates import TEMPLATES, tokenizer_with
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.records import Message

TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
LOOP = "{% for m in messages %}" + TURN + "{% endfor %}"
ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
# After Nemotron Nano v2: words of the user open and close the thoughts, and the last answer is shown within them.
WITHIN = (
    "{% set ns = namespace(on=true) %}{% for m in messages if m.role != 'assistant' %}{% if '/no_think' in m.content %}"
    "{% set ns.on = false %}{% elif '/think' in m.content %}{% set ns.on = true %}{% endif %}{% endfor %}"
    "{% set block = '<think>\n' if ns.on else '<think></think>' %}{% for m in messages %}"
    "{% if m.role == 'assistant' %}<|im_start|>assistant\n{% if loop.last %}{{ block }}{{ m.content }}{% else %}"
    "{{ m.content.split('</think>')[-1] }}{% endif %}<|im_end|>\n{% else %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.replace('/no_think', '').replace('/think', '').strip() }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{{ block }}{% endif %}"
)
# After Apriel: the model is told in words how to end its thoughts.
TOLD = (
    "<|im_start|>system\nThink first. Then write [BEGIN FINAL RESPONSE] ... [END FINAL RESPONSE].<|im_end|>\n"
    + LOOP
    + ASK
)
STARTED = (
    "<|im_start|>system\nThink first; the answer comes after the marker [BEGIN FINAL RESPONSE].<|im_end|>\n"
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% if m.reasoning_content %}"
    "{{ m.reasoning_content }}\n[BEGIN FINAL RESPONSE]\n{% endif %}{{ m.content }}<|im_end|>\n{% else %}"
    + TURN
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\nHere are my steps:\n{% endif %}"
)
QUESTION = [Message("user", "Why?")]


def use(source: str) -> ChatTemplate:
    return ChatTemplate.from_tokenizer(tokenizer_with(source))


@pytest.mark.parametrize("source", [WITHIN, TOLD, STARTED], ids=["within", "told", "started"])
@pytest.mark.parametrize("thinking", [False, True])
def test_thoughts_are_never_the_answer(source: str, thinking: bool) -> None:
    template = use(source)
    encode = template.tokenizer.encode
    prompt = template.prompt_ids(QUESTION, thinking)
    assert template.thinks and template.opens(prompt, thinking) and template.always_thinks
    closing = template.thinks.closing
    whole, cut = encode(f"It rains <b>.\n{closing}\nBecause."), encode("It rains <b>, and so")
    for opened in (template.opens(prompt, thinking), None):
        assert template.split_answer(whole, opened) == ("It rains <b>.", "Because.")
        assert template.split_answer(cut, opened) == ("It rains <b>, and so", "")
    assert template.decode(whole) == "Because." and template.decode(cut) == "" == template.decode(cut, prompt)


@pytest.mark.parametrize("source", [WITHIN, TOLD, STARTED], ids=["within", "told", "started"])
def test_a_model_trained_on_answers_alone_writes_answers(source: str) -> None:
    template = use(source)
    prompt = template.prompt_ids(QUESTION)
    ids, trained = template.training_ids([*QUESTION, Message("assistant", "It rains.")])
    assert ids[: len(prompt)] == prompt and all(trained[len(prompt) :])
    assert template.decode(ids[len(prompt) :], prompt) == "It rains." and ids[-1] in template.stop_ids


def test_what_ends_a_final_response_is_no_part_of_it() -> None:
    text = "So.\n[BEGIN FINAL RESPONSE]\nIt rains.\n[END FINAL RESPONSE]"
    assert use(TOLD).decode(use(TOLD).tokenizer.encode(text)) == "It rains."


@pytest.mark.parametrize(("words", "opened"), [("Why? /no_think", False), ("Why? /think", True), ("Why?", True)])
def test_words_of_the_user_open_and_close_the_thoughts(words: str, opened: bool) -> None:
    template = use(WITHIN)
    answer = template.tokenizer.encode("Because.")
    for thinking in (False, True):
        prompt = template.prompt_ids([Message("user", words)], thinking)
        assert template.opens(prompt, thinking) == opened
        assert template.decode(answer, prompt) == ("" if opened else "Because.")


def test_a_message_about_the_marks_opens_nothing() -> None:
    closed = use(LOOP + "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}")
    prompt = closed.prompt_ids([Message("user", "What does <think> do?")])
    assert not closed.opens(prompt) and closed.decode(closed.tokenizer.encode("It opens."), prompt) == "It opens."


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content", "thinking"])
@pytest.mark.parametrize(
    ("start", "end"), [("<think>\n", "\n</think>\n\n"), ("[T]", "[/T]"), ("<|im_mull|>", "<|im_say|>")]
)
def test_thoughts_have_several_names(key: str, start: str, end: str) -> None:
    shown = f"{{% if m.{key} %}}{start}{{{{ m.{key} }}}}{end}{{% endif %}}"
    template = use(LOOP.replace("\n{{ m.content }}", "\n" + shown + "{{ m.content }}") + ASK)
    assert template.thinks and (template.thinks.opening, template.thinks.closing) == (start.strip(), end.strip())


def test_a_name_that_a_template_rejects_is_one_of_several() -> None:
    picky = "{% if m.thinking %}{{ raise_exception('use reasoning') }}{% endif %}{% if m.thought %}!{% endif %}"
    template = use(LOOP.replace("{{ m.content }}", "<think>{{ m.reasoning }}</think>{{ m.content }}" + picky) + ASK)
    assert template.thinks and template.thinks.closing == "</think>"


LISTS = {
    "loop": "{% for t in tools %}{{ t }}{% endfor %}",
    "length": "{% if tools | length > 0 %}{{ tools }}{% endif %}",
    "index": "{{ tools[:3] | join }}",
    "documents": "{% for d in documents %}{{ d.text }}{% endfor %}",
    "only when asked": "{% if add_generation_prompt %}{% for t in tools %}{{ t }}{% endfor %}{% endif %}",
    "only after a system prompt": "{% if messages[0].role == 'system' %}{{ tools | length }}{% endif %}",
    "printed": "Tools: {{ tools }}\n",
    "printed as JSON": "<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n",
}


@pytest.mark.parametrize("head", LISTS.values(), ids=LISTS)
def test_a_template_that_reads_tools_gets_none_of_them(head: str) -> None:
    template = use(head + LOOP + ASK)
    for system in (None, "Ask of birds."):
        text = template.tokenizer.decode(template.pre_query_ids(system))
        assert "None" not in text and "null" not in text and text.endswith("<|im_start|>user\n")


def test_a_template_that_does_without_tools_does() -> None:
    source = "{% if tools is not none %}You have {{ tools | length }} tools.{% endif %}"
    template = use(source + LOOP + ASK)
    assert "tools" not in template.tokenizer.decode(template.pre_query_ids())


CLOSINGS = ("<|im_end|>", "<|im_end|>\n", "<|eot_id|>", "\n<|eot_id|>\n<|im_end|>", "<|eot_id|><|im_end|>\n", "<|pad|>")


def shown(text: str) -> str:
    return "{{ '" + text.replace("\n", "\\n") + "' }}"


@given(
    answer=st.sampled_from(CLOSINGS),
    last=st.sampled_from(("", "<|im_end|>", "\n<|eot_id|>\n")),
    asks=st.sampled_from((ASK, "<|im_start|>assistant\n{{ '' }}", "")),
    text=st.text("ab \n", min_size=1),
)
def test_every_mark_that_closes_an_answer_is_trained(answer: str, last: str, asks: str, text: str) -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% if m.role == 'assistant' %}" + shown(answer) + "{% if loop.last %}" + shown(last) + "{% endif %}{% else %}"
        "<|im_end|>\n{% endif %}{% endfor %}" + asks
    )
    template = use(source)
    prompt = template.prompt_ids(QUESTION)
    ids, trained = template.training_ids([*QUESTION, Message("assistant", text)])
    written = template.tokenizer.decode(ids[len(prompt) :])
    if "add_gen" in asks or not asks:
        assert written == text + (answer + last).rstrip()
    else:  # what follows the first mark may already ask for the next answer
        assert written.startswith(text + answer.partition(">")[0])
    assert all(trained[len(prompt) :]) and ids[-1] in template.stop_ids
    assert template.decode(ids[len(prompt) :]) == text.strip()
    assert template.tokenizer.convert_tokens_to_ids("<|im_start|>") not in ids[len(prompt) :]


def test_turns_of_families_are_still_told_apart() -> None:
    for stem, opening in (("phi3", "<|user|>"), ("cohere2", "<|START_OF_TURN_TOKEN|>")):
        source = next(f for f in TEMPLATES if f.stem == stem).read_text(encoding="utf-8")
        template = use(source)
        assert template.tokenizer.convert_tokens_to_ids(opening) in template.stop_ids
