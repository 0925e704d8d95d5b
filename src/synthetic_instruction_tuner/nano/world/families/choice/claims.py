"""The family that judges a claim with yes or no and gives a reason."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from random import Random

from synthetic_instruction_tuner.nano.world.families.choice.word_meanings import (
    CATEGORIES,
    CATEGORY_OF,
    KINDS,
    OPPOSITE_WORDS,
    OPPOSITES_OF,
    with_article,
)
from synthetic_instruction_tuner.nano.world.families.prose import mentions, missing
from synthetic_instruction_tuner.nano.world.family import Family, Slots

_VERDICT_WORDS = {"right", "wrong", "yes", "no", "true", "false"}  # would be mistaken for a verdict on a claim


class YesNo(Family):
    """A claim to judge, with a reason."""

    name, domain, weight = "yes_no", "choice", 1.2
    templates = (
        "Is it right that {claim}? Give a reason.",
        "My friend says that {claim}. Is this true, and why?",
        "I read that {claim}. Explain whether this is so.",
        "Judge this claim and explain: {claim}.",
        "They say {claim}. Can you check that for me?",
        "Would you agree that {claim}? Say why.",
    )
    patterns = {
        "claim": rf"(?:[a-z]+ is an? (?:{KINDS})|\d+ is (?:larger|smaller) than \d+|[a-z]+ is the opposite of [a-z]+)"
    }

    def fill(self, rng: Random) -> Slots:
        while not self.solvable(slots := {"claim": self._claim(rng)}):
            pass
        return slots

    @staticmethod
    def _claim(rng: Random) -> str:
        kind = rng.randrange(3)
        if kind == 0:
            category = rng.choice(list(CATEGORIES))
            other = category if rng.random() < 0.5 else rng.choice(list(CATEGORIES))
            return f"{rng.choice(CATEGORIES[other])} is {with_article(category)}"
        if kind == 1:
            x, y = rng.sample(range(2, 100), 2)
            return f"{x} is {rng.choice(('larger', 'smaller'))} than {y}"
        word = rng.choice(OPPOSITE_WORDS)
        other = min(OPPOSITES_OF[word]) if rng.random() < 0.5 else rng.choice(OPPOSITE_WORDS)
        return f"{other} is the opposite of {word}"

    def solvable(self, slots: Slots) -> bool:
        return self._judge(slots["claim"]) is not None

    def answer(self, rng: Random, slots: Slots) -> str:
        claim = slots["claim"]
        right, reason = self._judge(claim) or (False, "")
        # The reason comes before the verdict: a tiny model cannot judge before it has recalled the fact.
        wording = rng.choice(
            (
                "We know that {r}. So the answer is {yes}, and the sentence that {c} is {true}. This is easy to check.",
                "As a matter of fact, {r}. This tells us: {yes}, the claim that {c} is {true}. You can look it up in a book.",
                "Here is the reason: {r}. I looked at it twice to be sure, and I say {yes}, the claim is {true} as it stands.",
                "Think about it for a moment: {r}. For this reason I say {yes}, it is {true} that {c}. There is no way around it.",
            )
        )
        yes, true = ("yes", "right") if right else ("no", "wrong")
        return wording.format(yes=yes, true=true, c=claim, r=reason)

    def fault(self, slots: Slots, response: str) -> str | None:
        right, _ = self._judge(slots["claim"]) or (False, "")
        found = re.search(r"\b(yes|no)\b", response, re.IGNORECASE)
        if found is None:
            return "says neither yes nor no"
        said = found[1].lower() == "yes"
        if said != right or mentions(response, "wrong" if right else "right"):
            return f"the claim is {'right' if right else 'wrong'}"
        words = slots["claim"].split()
        return missing(response, (words[-1 if "opposite" in words else 0],))

    @staticmethod
    def _judge(claim: str) -> tuple[bool, str] | None:
        """Returns whether the claim holds and a true sentence about it, or None if it cannot be known."""
        first, rest = claim.split(" is ", 1)
        if first.isdigit():
            x, y = int(first), int(rest.split()[-1])
            order = "larger" if x > y else "smaller"
            return None if x == y else (rest.startswith(order), f"{x} is {order} than {y}")
        if rest.startswith("the opposite of"):
            word = rest.split()[-1]
            if first not in OPPOSITES_OF or word not in OPPOSITES_OF or first == word:
                return None
            if ({first, word} | OPPOSITES_OF[word]) & _VERDICT_WORDS:
                return None
            return first in OPPOSITES_OF[word], f"the opposite of {word} is {min(OPPOSITES_OF[word])}"
        if first not in CATEGORY_OF:
            return None
        kind = CATEGORY_OF[first]
        return rest.split(" ", 1)[1] == kind, f"{first} is {with_article(kind)}"


FAMILIES: tuple[Family, ...] = (YesNo(),)
