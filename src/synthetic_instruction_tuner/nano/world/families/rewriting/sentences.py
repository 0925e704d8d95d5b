"""Families on one sentence: replacing a word, writing it in capitals, finding a part of it.

Responses put what they quote in double quotes. The checkers compare what is quoted and leave the words around it free.
"""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import ADJECTIVES, ANIMALS, COLORS, NAMES, OBJECTS, THINGS, WORDS

PAST = tuple(  # a paragraph of words is easier to edit than a list of literals
    """saw found kept painted moved dropped carried lost sold bought hid cleaned took held drew fixed liked shook washed
    watched pulled pushed broke made left built cut opened closed used""".split()  # noqa: SIM905
)
PLACES = ("near", "behind", "under", "by", "over", "beside")
SENTENCE = "[A-Za-z0-9][A-Za-z0-9 ,']+"
_QUOTED = re.compile(r'"([^"]*)"')


def sentence(rng: Random) -> str:
    """Returns a plain sentence of 8 to 10 words without a full stop."""
    choice = rng.choice
    first, second = rng.sample(THINGS, 2)
    adjective, animal, past, place = choice(ADJECTIVES), choice(ANIMALS), choice(PAST), choice(PLACES)
    shape = rng.randrange(4)
    if shape == 0:
        return f"The {adjective} {animal} {past} the {choice(ADJECTIVES)} {first} {place} the {second}"
    if shape == 1:
        return f"{choice(NAMES)} {past} the {adjective} {first} {place} the {second}"
    if shape == 2:
        one, other = rng.sample(NAMES, 2)
        return f"{one} and {other} {past} the {adjective} {first} {place} the {second}"
    return f"My {adjective} {animal} {past} the {first} and the {second} {place} me"


class ReplaceWord(Family):
    """A sentence with one word replaced."""

    name = "replace_word"
    domain = "rewriting"
    patterns = {"sentence": SENTENCE, "old": "[A-Za-z]+", "new": "[A-Za-z]+"}
    templates = (
        'Replace "{old}" with "{new}" in this sentence: {sentence}.',
        'In "{sentence}", change "{old}" to "{new}".',
        'Use "{new}" instead of "{old}": {sentence}.',
        '{sentence}. Put "{new}" where it says "{old}".',
        'Rewrite with "{new}" in place of "{old}": {sentence}.',
    )
    wordings = (
        'The new sentence is: "{result}." The word "{old}" became "{new}" and all other words stayed the same.',
        'I changed "{old}" to "{new}" and kept all the other words as they were. Now it says: "{result}."',
        'With this change we get: "{result}." Only one word is different: it was "{old}" and now it is "{new}".',
        'Before, it said "{old}", and now it says "{new}". So the whole sentence now reads: "{result}."',
    )

    def fill(self, rng: Random) -> Slots:
        text = sentence(rng)
        words = text.split()
        old = rng.choice([w for w in words[1:] if len(w) > 2 and words.count(w) == 1 and w not in ("the", "and")])
        pool = NAMES if old in NAMES else PAST if old in PAST else ADJECTIVES if old in ADJECTIVES else WORDS
        new = rng.choice(pool)
        while new in words:
            new = rng.choice(pool)
        return {"sentence": text, "old": old, "new": new}

    def solvable(self, slots: Slots) -> bool:
        return slots["sentence"].split().count(slots["old"]) == 1 and slots["old"] != slots["new"]

    @staticmethod
    def _solve(slots: Slots) -> str:
        return " ".join(slots["new"] if w == slots["old"] else w for w in slots["sentence"].split())

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self.wordings).format(**slots, result=self._solve(slots))

    def fault(self, slots: Slots, response: str) -> str | None:
        quoted = [q.rstrip(".") for q in _QUOTED.findall(response)]
        result, old, new = self._solve(slots), slots["old"], slots["new"]
        if result not in quoted:
            return "the sentence is not the right one"
        rest = [q for q in quoted if q not in (result, slots["sentence"])]
        return None if rest in ([], [old, new], [new]) else "quotes other words"

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['sentence'].lower()}"


class Capitals(Family):
    """A sentence in capital letters."""

    name = "capitals"
    domain = "rewriting"
    patterns = {"sentence": SENTENCE}
    templates = (
        'Write "{sentence}" in capital letters.',
        "Make this all upper case: {sentence}.",
        "Please shout this for me: {sentence}.",
        "Change every letter to a capital: {sentence}.",
        'How does "{sentence}" look in capitals?',
    )
    wordings = (
        'In capital letters it reads: "{result}." All {count} words are now written in upper case, from first to last.',
        '"{result}." That is the same sentence with its {count} words, but now all in capital letters.',
        'Here are the {count} words of your sentence, with each small letter made big: "{result}."',
        'Now the whole sentence is in upper case, and its {count} words are still the same: "{result}."',
    )
    _run = re.compile(r"\b[A-Z]{2,}(?:[ ,']+[A-Z0-9]+\b)+")

    def fill(self, rng: Random) -> Slots:
        return {"sentence": sentence(rng)}

    def solvable(self, slots: Slots) -> bool:
        return len(slots["sentence"].split()) >= 3

    def answer(self, rng: Random, slots: Slots) -> str:
        text = slots["sentence"]
        return rng.choice(self.wordings).format(result=text.upper(), count=len(text.split()))

    def fault(self, slots: Slots, response: str) -> str | None:
        text = slots["sentence"]
        if max(self._run.findall(response), key=len, default="") != text.upper():
            return "not the sentence in capital letters"
        if any(q.rstrip(".") not in (text, text.upper()) for q in _QUOTED.findall(response)):
            return "quotes something else"
        counts = set(re.findall(r"(\d+) words", response))
        return None if counts <= {str(len(text.split()))} else "counts the words wrongly"

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['sentence'].lower()}"


class Extract(Family):
    """The name, number, color or place in a sentence that has one of each."""

    name = "extract"
    domain = "rewriting"
    patterns = {"sentence": SENTENCE, "kind": "name|number|color|place"}
    templates = (
        "Find the {kind} in this sentence: {sentence}.",
        'Which {kind} is in "{sentence}"?',
        "{sentence}. What {kind} do you see here?",
        "Pick out the {kind}: {sentence}.",
        'Read "{sentence}" and give me only the {kind}.',
    )
    wordings = (
        'The sentence says: "{sentence}." It has just one {kind} in it, and that {kind} is clearly "{value}".',
        'I read "{sentence}" word by word. The {kind} that I found in it is "{value}".',
        'In "{sentence}" there is just one {kind} to be found, and I think it is "{value}".',
        'The {kind} in it is "{value}". The whole sentence was: "{sentence}." There is no other {kind} there.',
    )
    _plurals = tuple(plural for _, plural in OBJECTS)

    def fill(self, rng: Random) -> Slots:
        text = (
            f"{rng.choice(NAMES)} {rng.choice(PAST)} {rng.randint(2, 99)} {rng.choice(COLORS)} "
            f"{rng.choice(self._plurals)} {rng.choice(PLACES)} the {rng.choice(THINGS)}"
        )
        return {"sentence": text, "kind": rng.choice(("name", "number", "color", "place"))}

    @staticmethod
    def _solve(slots: Slots) -> list[str]:
        words = slots["sentence"].split()
        if slots["kind"] == "name":
            return [w for w in words if w in NAMES]
        if slots["kind"] == "number":
            return [w for w in words if w.isdigit()]
        if slots["kind"] == "color":
            return [w for w in words if w in COLORS]
        return [b for a, b in pairwise(words) if a == "the"]

    def solvable(self, slots: Slots) -> bool:
        return len(self._solve(slots)) == 1

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self.wordings).format(**slots, value=self._solve(slots)[0])

    def fault(self, slots: Slots, response: str) -> str | None:
        quoted = [q.rstrip(".") for q in _QUOTED.findall(response)]
        if [q for q in quoted if q != slots["sentence"]] != self._solve(slots):
            return f"not the right {slots['kind']}"
        others = {"name", "number", "color", "place"} - {slots["kind"]}
        prose = " ".join(_QUOTED.split(response)[::2])
        named = set(re.findall(r"\b(name|number|color|place)\b", prose))
        return f"says {min(named & others)}, not {slots['kind']}" if named & others else None

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['sentence'].lower()}"


FAMILIES: tuple[Family, ...] = (ReplaceWord(), Capitals(), Extract())
