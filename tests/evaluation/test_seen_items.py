from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import Question
from synthetic_instruction_tuner.evaluation.contamination import ItemSearch, task_words
from synthetic_instruction_tuner.nano.world.family import CLOSERS, OPENERS


@dataclass(frozen=True)
class Item:
    id: str
    prompt: str


def found(item: str, *texts: str) -> bool:
    return ItemSearch([Item("one", item)]).found(texts) == {"one"}


TASK = "What is the opposite of begin?"
AROUND = ["", "Hello! ", "Hi there, ", "Good morning. ", "Dear assistant: ", "Could you help me? ", *OPENERS]
AFTER = ["", " Thanks!", " Thank you very much.", " Please.", " Danke!", *CLOSERS]


@given(st.sampled_from(AROUND), st.sampled_from(AFTER), st.sampled_from(AROUND), st.sampled_from(AFTER))
def test_polite_words_around_a_task_hide_nothing(before: str, after: str, opening: str, closing: str) -> None:
    assert found(before + TASK + after, opening + TASK.lower() + closing)


@pytest.mark.parametrize(
    "text",
    [
        "What is the opposite of end?",
        "Hi there. What is the opposite of beginning?",
        "What is the opposite of begin and of end?",
        "Tell me what is the opposite of begin.",
        "Hi there.",
        "",
    ],
)
def test_another_task_is_not_the_item(text: str) -> None:
    assert not found("Hi there. " + TASK, text)


def test_an_item_inside_of_a_longer_text_is_found() -> None:
    assert found("Hello! Name a river. Then a town.", "I have a quiz for you.\nName a river. Then a town. And a lake.")
    assert found(TASK, "Ben asked: what is the opposite of begin? Ann knew it.")


def test_short_items_count_only_as_whole_texts() -> None:
    assert found("Hello! Sing.", "sing") and not found("Sing.", "She can sing. Sing. He cannot.")


@given(st.text(max_size=60))
def test_every_text_is_found_as_itself(text: str) -> None:
    assert task_words(text) == () or found(text, text)
    assert found(text, text) or not task_words(text)


def test_both_turns_of_mt_bench_are_looked_for() -> None:
    asked = ("Name three rivers of the north.", "Now say which of the three is the longest.")
    question = Question(81, "writing", asked)
    for text in asked:
        assert ItemSearch([question]).found([f"Hello! {text}"]) == {"writing-81"}
    assert not ItemSearch([question]).found(["Name three rivers of the south."])
