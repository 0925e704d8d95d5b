"""What words mean: which are opposites and which name things of one kind. Includes the families that ask for it."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from random import Random

from synthetic_instruction_tuner.nano.world.families.prose import mentions
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import ANIMALS, COLORS, NAMES, OPPOSITES

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": tuple(a for a in ANIMALS if a not in ("fish", "seal", "mole", "bull", "swan", "robin")),
    "color": tuple(c for c in COLORS if c not in ("orange", "silver")),
    "fruit": ("apple", "banana", "pear", "peach", "plum", "lemon", "melon", "cherry", "fig", "grape"),
    "tool": ("hammer", "axe", "needle", "broom", "knife", "rake", "saw", "drill", "shovel", "brush"),
    "piece of clothing": ("hat", "scarf", "sock", "shoe", "glove", "coat", "shirt", "jacket", "dress", "apron"),
}
CATEGORY_OF = {word: category for category, words in CATEGORIES.items() for word in words}
OPPOSITES_OF: dict[str, set[str]] = {}
for _first, _second in OPPOSITES:
    OPPOSITES_OF.setdefault(_first, set()).add(_second)
    OPPOSITES_OF.setdefault(_second, set()).add(_first)
OPPOSITE_WORDS = tuple(OPPOSITES_OF)
KINDS = "|".join(CATEGORIES)


def with_article(category: str) -> str:
    """Returns the category's name with "a" or "an" before it."""
    return f"an {category}" if category[0] in "aeiou" else f"a {category}"


class Opposite(Family):
    """The opposite of a word, with a few words about it."""

    name, domain, weight = "opposite", "choice", 0.8
    templates = (
        "What is the opposite of {word}?",
        "Give {name} the opposite of {word}.",
        "Which word means the reverse of {word}?",
        "{name} wants to know: what is not {word}?",
        "Turn {word} into its opposite for {name}.",
        "Name a word against {word}, please.",
    )
    patterns = {"word": "|".join(OPPOSITES_OF), "name": "[A-Z][a-z]+"}
    _wordings = (
        'The opposite of "{w}" is "{o}". The two words form a pair, and most people learn both of them at the same time.',
        'The word that you are looking for is "{o}". It stands at the other end from "{w}", so the two never go together.',
        'If something is not "{w}" at all, we use the word "{o}". You can write both on one card to remember them.',
        'It is "{o}". Think of a thing that changes: first we say "{w}" about it, and after the change we say the other.',
    )

    def fill(self, rng: Random) -> Slots:
        return {"word": rng.choice(OPPOSITE_WORDS), "name": rng.choice(NAMES)}

    def key(self, slots: Slots, template: str) -> str:
        name = slots.get("name", "") if "{name}" in template else ""
        return f"opposite|{slots['word']}|{name}|{template}"

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._wordings).format(w=slots["word"], o=rng.choice(sorted(OPPOSITES_OF[slots["word"]])))

    def fault(self, slots: Slots, response: str) -> str | None:
        quoted = set(re.findall(r'"([a-z]+)"', response)) - {slots["word"]}
        right = OPPOSITES_OF[slots["word"]]
        if quoted and not quoted <= right:
            return f"names {sorted(quoted - right)[0]!r}"
        return None if any(mentions(response, word) for word in right) else f"lacks {min(right)!r}"


class OddOneOut(Family):
    """Three words of one kind and one of another."""

    name, domain, weight = "odd_one_out", "choice", 1.2
    templates = (
        "Which word does not belong: {a}, {b}, {c}, {d}?",
        "Find the odd one out: {a}, {b}, {c}, {d}.",
        "One of these is different: {a}, {b}, {c}, {d}. Which?",
        "Look at {a}, {b}, {c} and {d}. Which one does not fit?",
        "From {a}, {b}, {c}, {d}, remove the word of another kind.",
    )
    patterns = dict.fromkeys("abcd", "[a-z]+")
    _wordings = (
        'The word that does not belong is "{o}". It is {k}, while each of the other three words is the name of {m}.',
        'Three of the four words stand for {m}. Only "{o}" is not like them, because it is {k}. So this one must go.',
        'It is "{o}". This word means {k}, but {x}, {y} and {z} all have something in common: each one is {m}.',
        'Take away "{o}". The words {x}, {y} and {z} belong together, since each of them is {m}, and the odd one is {k}.',
    )

    def fill(self, rng: Random) -> Slots:
        most, other = rng.sample(list(CATEGORIES), 2)
        words = [*rng.sample(CATEGORIES[most], 3), rng.choice(CATEGORIES[other])]
        rng.shuffle(words)
        return dict(zip("abcd", words, strict=True))

    def solvable(self, slots: Slots) -> bool:
        kinds = [CATEGORY_OF.get(slots[k], "") for k in "abcd"]
        return "" not in kinds and len(set(slots.values())) == 4 and sorted(map(kinds.count, kinds)) == [1, 3, 3, 3]

    def answer(self, rng: Random, slots: Slots) -> str:
        odd = self._odd(slots)
        x, y, z = (slots[k] for k in "abcd" if slots[k] != odd)
        return rng.choice(self._wordings).format(
            o=odd, x=x, y=y, z=z, k=with_article(CATEGORY_OF[odd]), m=with_article(CATEGORY_OF[x])
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        odd = self._odd(slots)
        quoted = set(re.findall(r'"([a-z]+)"', response)) or {w for w in slots.values() if mentions(response, w)}
        return None if quoted == {odd} else f"the odd word is {odd!r}"

    @staticmethod
    def _odd(slots: Slots) -> str:
        kinds = [CATEGORY_OF[slots[k]] for k in "abcd"]
        return next(slots[k] for k, kind in zip("abcd", kinds, strict=True) if kinds.count(kind) == 1)


FAMILIES: tuple[Family, ...] = (Opposite(), OddOneOut())
