"""Constraints on words and characters: case, keywords, forbidden words, commas."""

# Sentences stay on one line each; the methods are documented in the base class.

from __future__ import annotations

import re
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.constraints.constraint import Constraint
from synthetic_instruction_tuner.nano.world.family import Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NOUNS


class Lowercase(Constraint):
    """No capital letter."""

    name, rule, stage = "lowercase", "change_case:english_lowercase", 2
    wordings = (
        "Use only lowercase letters.",
        "No capital letters, please.",
        "Everything must be in lower case.",
        "Write it all in small letters.",
        "Your answer must not contain any capital letter.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return text.lower()

    def broken(self, slots: Slots, text: str) -> str | None:
        return None if text.islower() else "has capital letters"


class Uppercase(Constraint):
    """No small letter."""

    name, rule, stage = "uppercase", "change_case:english_capital", 2
    wordings = (
        "Use only capital letters.",
        "Write everything in capitals.",
        "Your whole answer must be in upper case.",
        "Please shout: capital letters only.",
        "No lowercase letters at all.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return text.upper()

    def broken(self, slots: Slots, text: str) -> str | None:
        return None if text.isupper() else "has small letters"


class Keywords(Constraint):
    """Two words must occur."""

    name, rule = "keywords", "keywords:existence"
    wordings = (
        "Include the words {a} and {b}.",
        "The words {a} and {b} must appear.",
        "Be sure to use {a} as well as {b}.",
        "Also work in these words: {a}, {b}.",
        "It has to mention {a} and {b}.",
    )
    patterns = {"a": "[a-z]+", "b": "[a-z]+"}
    _lines = (
        "Next to it you can see the {a} and the {b}.",
        "It is often shown with the {a} and the {b}.",
        "Some people prefer the {a} or even the {b}.",
        "It once stood between the {a} and the {b}.",
    )

    def fill(self, rng: Random) -> Slots:
        a, b = rng.sample(NOUNS, 2)
        return {"a": a, "b": b}

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        first, *rest = text.split("\n")
        return "\n".join([first, rng.choice(self._lines).format(**slots), *rest])

    def broken(self, slots: Slots, text: str) -> str | None:
        absent = [w for w in (slots["a"], slots["b"]) if w not in text.lower()]
        return f"lacks the word {absent[0]!r}" if absent else None

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"keywords": [slots["a"], slots["b"]]}


_TEMPTING = (
    "people",
    "day",
    "old",
    "good",
    "year",
    "morning",
    "friend",
    "children",
    "long",
    "story",
    "water",
    "light",
    "time",
    "place",
    "picture",
    "home",
    "color",
    "winter",
    "there",
    "look",
)


class Forbidden(Constraint):
    """One word must not occur."""

    name, rule = "forbidden", "keywords:forbidden_words"
    wordings = (
        "Do not use the word {word}.",
        "The word {word} is forbidden.",
        "Avoid the word {word} at all times.",
        "You may not say {word} in it.",
        "Leave out the word {word}.",
    )
    patterns = {"word": "[a-z]+"}

    def fill(self, rng: Random) -> Slots:
        return {"word": rng.choice(_TEMPTING)}

    def avoid(self, slots: Slots) -> str | None:
        return slots["word"]

    def broken(self, slots: Slots, text: str) -> str | None:
        used = re.search(rf"\b{slots['word']}\b", text, re.IGNORECASE)
        return f"uses the word {slots['word']!r}" if used else None

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"forbidden_words": [slots["word"]]}


class NoComma(Constraint):
    """No comma."""

    name, rule = "no_comma", "punctuation:no_comma"
    wordings = (
        "Do not use any commas.",
        "Write it without commas.",
        "Commas are not allowed.",
        "Please leave out every comma.",
        "There must be no comma in it.",
    )

    def avoid(self, slots: Slots) -> str | None:
        return ","

    def broken(self, slots: Slots, text: str) -> str | None:
        return "has a comma" if "," in text else None


class Frequency(Constraint):
    """The topic's word occurs at least a given number of times."""

    name, rule = "frequency", "keywords:frequency"
    wordings = (
        "Use the word {noun} at least {n} times.",
        "The word {noun} has to occur {n} times or more.",
        "Repeat the word {noun}: at least {n} times.",
        "Say {noun} no fewer than {n} times.",
        "I want to read {noun} at least {n} times.",
    )
    patterns = {"n": "[3-5]"}

    def fill(self, rng: Random) -> Slots:
        return {"n": rng.choice("345")}

    def count(self, slots: Slots) -> int:
        return int(slots["n"])

    def broken(self, slots: Slots, text: str) -> str | None:
        found = text.lower().count(slots["noun"])
        return None if found >= int(slots["n"]) else f"says {slots['noun']!r} {found} times"

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"keyword": slots["noun"], "frequency": int(slots["n"]), "relation": "at least"}
