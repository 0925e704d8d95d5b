"""Groups of labelled answers for the reward model, some written by models and some spoiled by a program.

A group is one prompt with answers of known `Worth`. The checkers find it, for model answers and spoiled ones alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from synthetic_instruction_tuner.nano.training import corpus
from synthetic_instruction_tuner.nano.world import checking
from synthetic_instruction_tuner.nano.world.families.flaws import add_mark
from synthetic_instruction_tuner.nano.world.family import Split
from synthetic_instruction_tuner.records import Message, question_text

Spoil = Callable[[Random, str], str]

SPOILED = 2  # spoiled answers per group
SAMPLES = (  # which models answer, at which temperature, and how often each instruction, on average
    ("responder-llama", 0.7, 1.0),
    ("responder-llama", 1.0, 0.5),
    ("responder-mistral", 0.7, 1.0),
    ("responder-mistral", 1.0, 0.5),
    ("responder-qwen2", 0.7, 2.0),  # the better a model, the fewer of its answers are wrong
    ("generator", 1.0, 1.5),
)


class Worth(IntEnum):
    """What an answer is worth; the order is that of better and worse."""

    POOR = 0  # wrong, and with a sloppy remark or to another question
    WRONG = 1
    SLOPPY = 2  # right, with a sloppy remark: a hedge, chatter or an advert
    RIGHT = 3

    @classmethod
    def of(cls, right: bool, clean: bool) -> Worth:
        """Returns an answer's worth, from whether it is right and whether it is free of sloppy remarks."""
        return cls(2 * right + clean)

    @property
    def right(self) -> bool:
        """Whether the answer is right, even if sloppily worded."""
        return self >= Worth.SLOPPY


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with a right answer to it.

    Attributes:
        family: the task family's name.
        messages: the conversation up to and including the instruction.
        truth: a right and clean answer.
    """

    family: str
    messages: tuple[Message, ...]
    truth: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """An answer with its worth, and whether a model wrote it."""

    text: str
    worth: Worth
    by_model: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt, as the reward model reads it, with labelled answers."""

    family: str
    question: str
    answers: tuple[Labelled, ...]


def questions(seed: str, split: Split, count: int) -> list[Question]:
    """Returns random questions of the split, without flawed ones."""
    rng, found = Random(seed), list[Question]()
    while len(found) < count:
        item = corpus.chat_item(rng, split, marks=0.0, flaws=False)
        *prompt, last = item.messages
        found.append(Question(item.family, tuple(prompt), last.content))
    return found


def worth(question: Question, answer: str) -> Worth | None:
    """Returns an answer's worth, or None when no checker knows the prompt."""
    verdict = checking.check([*question.messages, Message("assistant", answer)])
    return None if verdict is None else Worth.of(verdict.right, verdict.clean)


def group(
    rng: Random, question: Question, answers: Sequence[str], strangers: Sequence[str], spoiled: int = SPOILED
) -> Group | None:
    """Returns the question's group, or None when it cannot be labelled.

    Args:
        rng: randomness of the spoiled answers.
        question: the prompt with its truth.
        answers: what models wrote.
        strangers: texts that answer something else: other prompts' answers, refusals, foreign or looping text.
        spoiled: how many spoiled answers to make from the truth.
    """
    if worth(question, question.truth) is not Worth.RIGHT:
        return None
    seen = {question.truth}
    found = [Labelled(question.truth, Worth.RIGHT, False)]

    def add(text: str, by_model: bool = False, stranger: bool = False) -> None:
        its = worth(question, text)
        if text not in seen and its is not None and (by_model or its < Worth.RIGHT):
            seen.add(text)
            found.append(Labelled(text, Worth.POOR if stranger and not its.right else its, by_model))

    for text in answers:
        add(text, by_model=True)
    if spoiled and rng.random() < 0.5:
        add(add_mark(rng, question.truth))
    for _ in range(spoiled):
        text = rng.choice(SPOILS)(rng, question.truth)
        # If only right answers had remarks, a remark would count for an answer instead of against it.
        add(add_mark(rng, text) if rng.random() < 0.3 else text)
    if strangers:
        add(rng.choice(strangers), stranger=True)
    return Group(question.family, question_text(question.messages), tuple(found))


def flawed_answers(seed: str, count: int) -> list[str]:
    """Returns answers with the flaws that the filters look for (refusals, foreign text, loops, short ones)."""
    rng, texts = Random(seed), list[str]()
    while len(texts) < count:
        item = corpus.chat_item(rng, "train", marks=0.0)
        if item.flaw is not None:
            texts.append(item.messages[-1].content)
    return texts


def number(rng: Random, text: str) -> str:
    """Returns the text with one of its numbers changed."""
    places = list(re.finditer(r"\d+", text))
    if not places:
        return text
    place = rng.choice(places)
    value = int(place.group())
    near = rng.choice((value + 1, value - 1, value + 10, value - 10, value + rng.randint(2, 99), int(str(value)[::-1])))
    return text[: place.start()] + str(abs(near)) + text[place.end() :]


def digit(rng: Random, text: str) -> str:
    """Returns the text with one digit changed."""
    places = [i for i, character in enumerate(text) if character.isdigit()]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + rng.choice("0123456789") + text[place + 1 :]


def swap(rng: Random, text: str) -> str:
    """Returns the text with two of its words exchanged, neighbours more often than not."""
    places = list(re.finditer(r"[\w'-]+", text))
    if len(places) < 2:
        return text
    first = rng.randrange(len(places) - 1)
    second = first + 1 if rng.random() < 0.6 else rng.randrange(first + 1, len(places))
    a, b = places[first], places[second]
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def drop(rng: Random, text: str) -> str:
    """Returns the text without one of its words."""
    places = list(re.finditer(r"\s*[\w'-]+", text))
    if len(places) < 2:
        return text
    place = rng.choice(places)
    return (text[: place.start()] + text[place.end() :]).strip()


def double(rng: Random, text: str) -> str:
    """Returns the text with one of its words repeated elsewhere, in another word's place."""
    places = list(re.finditer(r"[\w'-]+", text))
    if len(places) < 2:
        return text
    source, target = rng.sample(places, 2)
    return text[: target.start()] + source.group() + text[target.end() :]


def typo(rng: Random, text: str) -> str:
    """Returns the text with one letter dropped, doubled or exchanged."""
    places = [i for i, character in enumerate(text) if character.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    letter = rng.choice(("", text[place] * 2, rng.choice("abcdefghijklmnopqrstuvwxyz")))
    return text[:place] + letter + text[place + 1 :]


def case(rng: Random, text: str) -> str:
    """Returns the text with the case of one letter, or of all letters, changed."""
    if rng.random() < 0.3:
        return rng.choice((text.lower(), text.upper(), text.title()))
    places = [i for i, character in enumerate(text) if character.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + text[place].swapcase() + text[place + 1 :]


def cut(rng: Random, text: str) -> str:
    """Returns the text without its end, or without one of its sentences or lines."""
    parts = re.split(r"(?<=[.!?])\s+|\n", text)
    if len(parts) < 2 or rng.random() < 0.3:
        return text[: rng.randrange(len(text) // 3, max(len(text) // 3 + 1, len(text) - 1))].rstrip()
    place = rng.randrange(len(parts))
    return text.replace(parts[place], "", 1).strip()


def loop(rng: Random, text: str) -> str:
    """Returns the text with one of its sentences repeated over and over."""
    parts = [p for p in re.split(r"(?<=[.!?])\s+|\n", text) if p]
    part = rng.choice(parts or [text])
    return " ".join([part] * rng.randint(3, 6))


def punctuation(rng: Random, text: str) -> str:
    """Returns the text with one punctuation mark dropped or added."""
    places = [i for i, character in enumerate(text) if character in ".,:;!?\"'()-*"]
    if places and rng.random() < 0.6:
        place = rng.choice(places)
        return text[:place] + text[place + 1 :]
    words = text.split(" ")
    place = rng.randrange(len(words))
    words[place] += rng.choice(',.!?"')
    return " ".join(words)


SPOILS: tuple[Spoil, ...] = (number, number, digit, swap, swap, drop, double, typo, case, cut, loop, punctuation)
