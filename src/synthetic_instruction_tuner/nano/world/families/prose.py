"""Plain sentences about a thing in a place: the material of every family that asks for free text."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from synthetic_instruction_tuner.nano.world.family import Slots
from synthetic_instruction_tuner.nano.world.vocabulary import ADJECTIVES, ANIMALS, OBJECTS

# Only words that take "a", never "an", so that templates need no grammar.
THINGS = tuple(singular for singular, _ in OBJECTS if singular[0] not in "aeiou")
TRAITS = tuple(word for word in ADJECTIVES if word[0] not in "aeiou" and word != "honest")
CREATURES = tuple(word for word in ANIMALS if word[0] not in "aeiou")
PLACES = tuple(
    [
        "garden",
        "kitchen",
        "market",
        "library",
        "harbor",
        "castle",
        "forest",
        "park",
        "station",
        "school",
        "bakery",
        "beach",
        "bridge",
        "farm",
        "house",
        "mill",
        "museum",
        "office",
        "palace",
        "road",
        "shop",
        "stable",
        "street",
        "tower",
        "village",
        "meadow",
    ]
)
OPENINGS = (
    "The {adj} {noun} can be found near the {place}.",
    "In the {place}, there is one very {adj} {noun}.",
    "Near the {place} you will see the {adj} {noun}.",
    "There is a story about the {place} and its {adj} {noun}.",
    "If you walk to the {place}, look for the {adj} {noun}.",
    "At the {place} the {adj} {noun} waits for a new day.",
    "Everyone at the {place} talks about the {adj} {noun}.",
    "On most days, the {adj} {noun} lies close to the {place}.",
)
SENTENCES = (
    "The {noun} was made by hand a long time ago.",
    "People often stop, smile and look at the {noun}.",
    "Children like the {noun} because it makes them laugh.",
    "When it rains, the {noun} is kept in a dry corner.",
    "An old woman once gave the {noun} to her neighbor.",
    "Some say that the {noun} brings good luck to guests.",
    "In the morning, the {noun} shines in the first light.",
    "Nobody knows who left the {noun} there last winter.",
    "A good friend told me to draw the {noun} with care.",
    "After a busy week, the {noun} is a nice thing to see.",
    "Every visitor takes a picture of the {noun} to show at home.",
    "The color of the {noun} changes a little in the evening.",
    "Without the {noun}, the place would feel a bit empty.",
    "I hope that the {noun} will stay with us for many years.",
    "You can touch the {noun}, but please be careful with it.",
    "Once a year the {noun} is cleaned with water and soap.",
)


def scene(rng: Random) -> Slots:
    """Returns a random thing, what it is like and where it is."""
    return {"adj": rng.choice(TRAITS), "noun": rng.choice(THINGS), "place": rng.choice(PLACES)}


def write(rng: Random, slots: Slots, count: int, avoid: str | None = None) -> list[str]:
    """Returns `count` sentences about the scene; the first names all of it, and none contains the avoided text."""
    openings, rest = _without(OPENINGS, avoid), _without(SENTENCES, avoid)
    chosen = [rng.choice(openings), *rng.sample(rest, count - 1)]
    return [s.format(**slots) for s in chosen]


@lru_cache(maxsize=256)
def _without(patterns: tuple[str, ...], avoid: str | None) -> tuple[str, ...]:
    """Returns the sentence patterns that do not contain a word, or a punctuation mark, outside their slots."""
    if avoid is None:
        return patterns
    wanted = re.compile(rf"\b{avoid}\b" if avoid.isalpha() else re.escape(avoid), re.IGNORECASE)
    return tuple(p for p in patterns if not wanted.search(re.sub(r"\{\w+\}", "", p)))


def mentions(text: str, word: str) -> bool:
    """Returns whether the word occurs in the text as a whole word, in any case."""
    text, word = text.lower(), word.lower()
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            return True
        start = text.find(word, start + 1)
    return False


def missing(text: str, words: tuple[str, ...]) -> str | None:
    """Returns the first of the words that the text does not mention, as a fault, or None."""
    for word in words:
        if not mentions(text, word):
            return f"does not mention {word!r}"
    return None


def count_sentences(text: str) -> int:
    """Returns how many stretches of text end in a full stop, question mark or exclamation mark."""
    return len(re.findall(r"\w[\"')]*[.!?]+(?=\s|$|\")", text))
