"""Questions with four options, one of which is right."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from synthetic_instruction_tuner.nano.world.families import facts
from synthetic_instruction_tuner.nano.world.families.choice.word_meanings import (
    CATEGORIES,
    KINDS,
    OPPOSITE_WORDS,
    OPPOSITES_OF,
    with_article,
)
from synthetic_instruction_tuner.nano.world.family import Family, Slots, Split, split_of

_TOWN = "|".join(facts.TOWNS)


def question(rng: Random) -> tuple[str, str, list[str]]:
    """Returns a question, its right answer and several wrong ones."""
    kind = rng.randrange(4)
    if kind == 0:
        word = rng.choice(OPPOSITE_WORDS)
        right = min(OPPOSITES_OF[word])
        wrong = [w for w in rng.sample(OPPOSITE_WORDS, 8) if w != word and w not in OPPOSITES_OF[word]]
        return (
            rng.choice(("What is the opposite of {w}?", "Which word is the opposite of {w}?")).format(w=word),
            right,
            wrong,
        )
    if kind == 1:
        category, *others = rng.sample(list(CATEGORIES), 4)
        wrong = [rng.choice(CATEGORIES[other]) for other in others]
        text = rng.choice(("Which of these is {c}?", "Which word is the name of {c}?"))
        return text.format(c=with_article(category)), rng.choice(CATEGORIES[category]), wrong
    if kind == 2:
        town, attribute = rng.choice(list(facts.TOWNS)), rng.choice(list(facts.THINGS))
        right = getattr(facts.TOWNS[town], attribute)
        wrong = [v for v in rng.sample(facts.values(attribute), 5) if v != right]
        return f"What is the {facts.THINGS[attribute][0]} of {town}?", right, wrong
    x, y = rng.randint(2, 20), rng.randint(2, 20)
    near = [str(x + y + d) for d in rng.sample((-3, -2, -1, 1, 2, 3, 10), 4)]
    return (
        rng.choice(("How much is {x} plus {y}?", "What do you get for {x} + {y}?")).format(x=x, y=y),
        str(x + y),
        near,
    )


_SOLVERS = (
    (re.compile(r"(?:What is|Which word is) the opposite of ([a-z]+)\?"), lambda m, o: o in OPPOSITES_OF.get(m[1], ())),
    (re.compile(rf"Which (?:of these is|word is the name of) an? ({KINDS})\?"), lambda m, o: o in CATEGORIES[m[1]]),
    (
        re.compile(r"(?:How much is|What do you get for) (\d+) (?:plus|\+) (\d+)\?"),
        lambda m, o: o == str(int(m[1]) + int(m[2])),
    ),
    (
        re.compile(rf"What is the ({'|'.join(facts.ATTRIBUTE_OF)}) of ({_TOWN})\?"),
        lambda m, o: o == getattr(facts.TOWNS[m[2]], facts.ATTRIBUTE_OF[m[1]]),
    ),
)


def right_options(text: str, options: list[str]) -> list[int]:
    """Returns the indices of the options that answer the question correctly."""
    for pattern, holds in _SOLVERS:
        if match := pattern.fullmatch(text):
            return [i for i, option in enumerate(options) if holds(match, option)]
    return []


def _item(rng: Random) -> tuple[str, list[str], int]:
    text, right, wrong = question(rng)
    options = [right, *wrong[:3]]
    rng.shuffle(options)
    return text, options, options.index(right)


def _choice_key(text: str, options: Sequence[str], right: str) -> str:
    """Returns the key: the question with its right answer and, if these are held out, all four options.

    If every item with a held-out answer were held out, a model would only see that answer among the wrong options and
    learn that it is wrong. So of these items, too, only one set of options in `EVAL_SHARE` is held out.
    """
    key = f"multiple_choice|{text}|{right}".lower()
    return key if split_of(key) == "train" else "|".join([key, *sorted(options)]).lower()


def choice_item(rng: Random, split: Split) -> tuple[str, tuple[str, ...], int]:
    """Returns a question of the split, its four choices and the right one's index."""
    while True:
        text, options, right = _item(rng)
        if split_of(_choice_key(text, options, options[right])) == split:
            return text, tuple(options), right


class MultipleChoice(Family):
    """A question with four lettered options."""

    name, domain, weight = "multiple_choice", "choice", 1.6
    templates = (
        "{question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Choose the right letter. {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "{question} Pick one.\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Here is a quiz question: {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Only one answer is right. {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
    )
    patterns = {"question": r"(?:What|Which|How)[^\n?]+\?"} | dict.fromkeys("abcd", r"[^\n]+")
    # The option comes before its letter: a tiny model cannot name the letter of an option that it has not found yet.
    _wordings = (
        "Only {o} is right here, and it stands behind the letter {L}. The other three do not answer the question at all.",
        "When I read the four options one after the other, the one that fits is {o}. So my choice is {L}, and I am quite sure of it.",
        "I know that it has to be {o}. This is option {L}, and each of the other three options is wrong for this question.",
        "The option that we look for is {o}. So the right letter is {L}, and if you think again, nothing else fits.",
    )

    def fill(self, rng: Random) -> Slots:
        text, options, _ = _item(rng)
        return {"question": text, **dict(zip("abcd", options, strict=True))}

    def key(self, slots: Slots, template: str) -> str:
        options = [slots[k] for k in "abcd"]
        return _choice_key(slots["question"], options, options[self._right(slots)])

    def solvable(self, slots: Slots) -> bool:
        options = [slots[k] for k in "abcd"]
        return len(set(options)) == 4 and len(right_options(slots["question"], options)) == 1

    def answer(self, rng: Random, slots: Slots) -> str:
        right = "abcd"[self._right(slots)]
        return rng.choice(self._wordings).format(L=right.upper(), o=slots[right])

    def fault(self, slots: Slots, response: str) -> str | None:
        letter = "ABCD"[self._right(slots)]
        named = set(re.findall(r"\b(?:A(?! [a-z])|[B-D])\b", response))
        return None if named == {letter} else f"the answer is {letter}"

    @staticmethod
    def _right(slots: Slots) -> int:
        return right_options(slots["question"], [slots[k] for k in "abcd"])[0]


FAMILIES: tuple[Family, ...] = (MultipleChoice(),)
