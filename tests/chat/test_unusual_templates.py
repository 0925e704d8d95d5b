"""Chat templates of no family in use: thoughts, tools and closing marks in other ways, split rightly or refused."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from random_models import SPECIALS, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.data_generation.prompt_answers import PromptAnswers
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message, Record

HEADER = "<|im_start|>assistant\n"
QUESTION = [Message("user", "Why?")]
END = "<|im_end|>"


def template(answer: str = "{{ m.content }}", begins: str = "", told: str = "", marks: tuple[str, ...] = (),
             end: str = END, after: str = "") -> ChatTemplate:  # fmt: skip
    """A ChatML template with the parts in which templates differ."""
    source = (
        (f"<|im_start|>system\n{told}{END}\n" if told else "")
        + f"{{% for m in messages %}}{{% if m.role == 'assistant' %}}{HEADER}{answer}{end}\n{after}{{% else %}}"
        + f"<|im_start|>{{{{ m.role }}}}\n{{{{ m.content }}}}{END}\n{{% endif %}}{{% endfor %}}"
        + f"{{% if add_generation_prompt %}}{HEADER}{begins}{{% endif %}}"
    )
    return ChatTemplate.from_tokenizer(byte_tokenizer(source, tuple(dict.fromkeys((*SPECIALS, *marks)))))


class Case(NamedTuple):
    """A template, what its model writes when it may think, and how that is cut off within the thoughts."""

    parts: dict[str, object]
    whole: str
    cut: str = "It rains <b>, and so"


CASES = {
    "a mark nobody knows": Case({"begins": "<musing>\n"}, "It rains <b>.\n</musing>\nBecause."),
    "brackets": Case({"begins": "[THINK]", "marks": ("[THINK]", "[/THINK]")}, "It rains <b>.[/THINK]Because."),
    "bars": Case({"begins": "<|think|>", "marks": ("<|think|>", "<|/think|>")}, "It rains <b>.<|/think|>Because."),
    "begin and end": Case(
        {"begins": "<|begin_of_thought|>", "marks": ("<|begin_of_thought|>", "<|end_of_thought|>")},
        "It rains <b>.<|end_of_thought|>Because.",
    ),
    "a name space": Case({"begins": "<seed:think>"}, "It rains <b>.</seed:think>Because."),
    "an attribute": Case({"begins": '<think mode="deep">'}, "It rains <b>.</think>Because."),
    "words around": Case({"begins": "Let me see.\n<think>"}, "It rains <b>.</think>\nBecause."),
    "headings": Case(
        {"answer": "{% if m.reasoning %}# Thought\n{{ m.reasoning }}\n\n# Answer\n{% endif %}{{ m.content }}",
         "begins": "# Thought\n"}, "It rains <b>.\n\n# Answer\nBecause."),
    "a heading of the answer too": Case(
        {"answer": "{% if m.thinking %}analysis: {{ m.thinking }}\n{% endif %}final: {{ m.content }}",
         "begins": "analysis: "}, "It rains <b>.\nfinal: Because."),
    "an answer in tags": Case(
        {"answer": "{% if m.reasoning %}<think>\n{{ m.reasoning }}\n</think>\n{% endif %}\n<response>\n"
         "{{ m.content }}\n</response>\n", "begins": "<think>\n"},
        "It rains <b>.\n</think>\n\n<response>\nBecause.\n</response>\n"),
    "told of tags": Case(
        {"told": "First <think> thoughts </think>, then <answer> the answer </answer>.", "begins": "<think>"},
        "It rains <b>.</think>\n<answer>Because.</answer>"),
    "told of a solution": Case(
        {"told": "<|begin_of_thought|> ... <|end_of_thought|> <|begin_of_solution|> ... <|end_of_solution|>"},
        "<|begin_of_thought|>It rains <b>.<|end_of_thought|>\n<|begin_of_solution|>\nBecause.<|end_of_solution|>",
        "<|begin_of_thought|>It rains <b>, and so"),
    "told of a label": Case({"told": "Think first. Then write **Final Answer:** and it."},
                            "It rains <b>.\n**Final Answer:** Because."),
    "told of a label in quotes": Case({"told": "Reason, then write 'Final answer:'.", "begins": "My steps:\n"},
                                      "It rains <b>.\nFinal answer: Because."),
    "told of words in brackets": Case({"told": "Reason. [BEGIN FINAL ANSWER] ... [END FINAL ANSWER]"},
                                      "It rains <b>.\n[BEGIN FINAL ANSWER]\nBecause.\n[END FINAL ANSWER]"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_thoughts_end_where_the_answer_begins(name: str) -> None:
    parts, whole, cut = CASES[name]
    found = template(**parts)  # type: ignore[arg-type]
    prompt = found.prompt_ids(QUESTION, thinking=True)
    opened = found.opens(prompt, thinking=True)
    assert found.split_answer(found.tokenizer.encode(whole + END), opened) == ("It rains <b>.", "Because.")
    assert found.split_answer(found.tokenizer.encode(cut), opened) == ("It rains <b>, and so", "")
    plain = found.prompt_ids(QUESTION)
    begun = found.tokenizer.decode(prompt[len(plain) :]) if prompt[: len(plain)] == plain else ""
    if begun:  # a model that is not asked to think may begin its thoughts as it has learned to
        for text, answer in ((begun + whole, "Because."), (begun + cut, "")):
            assert found.decode(found.tokenizer.encode(text), plain) == answer
        assert found.decode(found.tokenizer.encode(whole), plain) == "Because."
    ids, _ = found.training_ids([*QUESTION, Message("assistant", "It rains.")])
    assert ids[: len(plain)] == plain and found.decode(ids[len(plain) :], plain) == "It rains."


@pytest.mark.parametrize(
    "begins", ["Here are my reasoning steps:\n", "**Thinking**\n", "```thinking\n", "<!-- thoughts: "]
)
def test_thoughts_without_an_end_are_refused(begins: str) -> None:
    with pytest.raises(UserError, match="begin thoughts with"):
        template(begins=begins)


@pytest.mark.parametrize("begins", ["Sure, ", "<answer>", "<|eot_id|>", "<assistant>", "{{ '{' }}", "\n\n"])
def test_what_else_a_prompt_begins_is_no_thought(begins: str) -> None:
    found = template(begins=begins)
    assert found.thinks is None and found.decode(found.tokenizer.encode("Because.")) == "Because."


def test_a_prompt_that_always_opens_thoughts_is_seen_also_for_given_instructions() -> None:
    always = template(answer="{% if loop.last %}<think>\n{% endif %}{{ m.content }}", begins="<think>\n")
    assert always.always_thinks

    class Writes:
        def generate(self, requests: list[object], done: object = None) -> list[Completion]:
            ids = always.tokenizer.encode(f"It rains.</think>Because.{END}")
            return [Completion(tuple(ids), "stop") for _ in requests]

    answers = PromptAnswers(GenerateConfig(), always, Writes(), seed=0)  # type: ignore[arg-type]
    assert answers.answer([Record("a", "Why?", "")])[0].response == "Because."


@given(
    close=st.lists(st.sampled_from(("<|eot_id|>", "<|im_end|>", "<|pad|>")), min_size=1, max_size=3),
    gap=st.sampled_from(("", "\n")), last=st.booleans(),
)  # fmt: skip
def test_marks_that_only_another_question_shows_are_trained(close: list[str], gap: str, last: bool) -> None:
    marks = gap.join(close)
    found = template(end="", after="{% if not loop.last %}" + marks + "\n{% endif %}" if last else marks)
    prompt = found.prompt_ids(QUESTION)
    ids, _ = found.training_ids([*QUESTION, Message("assistant", "It rains.")])
    assert found.tokenizer.decode(ids[len(prompt) :]).replace("\n", "") == f"It rains.{''.join(close)}"


@pytest.mark.parametrize("mark", ["###", "</s>", "<EOA>", "</answer>"])
@pytest.mark.parametrize("gap", ["", "\n"])
def test_words_that_close_an_answer_are_trained_and_are_no_part_of_it(mark: str, gap: str) -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}User: {{ m.content }}\n{% else %}Bot: {{ m.content }}"
        + f"{gap}{mark}\n{{% endif %}}{{% endfor %}}{{% if add_generation_prompt %}}Bot:{{% endif %}}"
    )
    found = ChatTemplate.from_tokenizer(byte_tokenizer(source))
    prompt = found.prompt_ids(QUESTION)
    ids, _ = found.training_ids([*QUESTION, Message("assistant", "It rains.")])
    assert found.tokenizer.decode(ids[len(prompt) :]) == f" It rains.{gap}{mark}{END}"
    for end in (END, f"\n{END}", "\nUser: Why", ""):
        assert found.decode(found.tokenizer.encode(f" It rains.{gap}{mark}{end}"), prompt) == "It rains."
