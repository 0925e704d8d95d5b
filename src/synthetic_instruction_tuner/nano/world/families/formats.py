"""Small requests for text under one or two verifiable constraints of IFEval (Zhou et al. 2023, arXiv:2311.07911).

Each constraint's check says the same as IFEval's own rule, so a student's pass rate here is comparable to that benchmark's.
"""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.constraints.constraint import Constraint
from synthetic_instruction_tuner.nano.world.families.constraints.layout import (
    Bullets,
    EndPhrase,
    Postscript,
    Quotation,
    Sentences,
    Title,
)
from synthetic_instruction_tuner.nano.world.families.constraints.wording import (
    Forbidden,
    Frequency,
    Keywords,
    Lowercase,
    NoComma,
    Uppercase,
)
from synthetic_instruction_tuner.nano.world.families.prose import PLACES, missing, scene, write
from synthetic_instruction_tuner.nano.world.family import Family, Slots

ASKS = (
    "Write a few lines about the {adj} {noun} in the {place}.",
    "Tell me about the {adj} {noun} near the {place}.",
    "Describe the {adj} {noun} from the {place}.",
    "I need a short text on the {adj} {noun} behind the {place}.",
    "Make up something about the {adj} {noun} and the {place}.",
    "What can you say about the {adj} {noun} at the {place}?",
)


class Constrained(Family):
    """A request for text under one or two constraints."""

    domain, takes_marks = "format", False

    def __init__(self, *constraints: Constraint) -> None:
        self.constraints = sorted(constraints, key=lambda c: c.stage)
        self.name = ("if_" if len(constraints) == 1 else "if_two_") + "_and_".join(c.name for c in constraints)
        self.weight = 1.0 if len(constraints) == 1 else 0.3
        self.patterns = {"adj": "[a-z]+", "noun": "[a-z]+", "place": "|".join(PLACES)}
        for constraint in constraints:
            self.patterns |= constraint.patterns
        self.templates = tuple(self._templates(constraints))

    @staticmethod
    def _templates(constraints: tuple[Constraint, ...]) -> list[str]:
        lengths = 6 if len(constraints) > 1 else 10
        texts = []
        for i in range(lengths):
            rules = " ".join(c.wordings[(i + 2 * j * (i // 3 + 1)) % 5] for j, c in enumerate(constraints))
            ask = ASKS[(i + i // 5) % 6]
            # A rule with the word in it may come first only if it is bounded: quoted phrases are best at the end of a line.
            texts.append(f"{rules} {ask}" if i % 3 == 2 else f"{ask} {rules}")
        return texts

    def fill(self, rng: Random) -> Slots:
        slots = scene(rng)
        for constraint in self.constraints:
            slots |= constraint.fill(rng)
        return slots if self.solvable(slots) else self.fill(rng)

    def solvable(self, slots: Slots) -> bool:
        return slots.get("word") not in (slots["adj"], slots["noun"], slots["place"])

    def answer(self, rng: Random, slots: Slots) -> str:
        count = max(c.count(slots) for c in self.constraints)
        avoid = next((a for c in self.constraints if (a := c.avoid(slots))), None)
        text = "\n".join(write(rng, slots, count, avoid))
        layout = any(isinstance(c, Bullets) for c in self.constraints)
        for stage in range(4):
            if stage == 1 and not layout:
                text = text.replace("\n", " ")
            for constraint in self.constraints:
                if constraint.stage == stage:
                    text = constraint.shape(rng, slots, text)
        return text

    def fault(self, slots: Slots, response: str) -> str | None:
        return self.broken(slots, response) or missing(response, (slots["adj"], slots["noun"], slots["place"]))

    def broken(self, slots: Slots, response: str) -> str | None:
        """Returns which of IFEval's rules the response breaks, or None; `fault` checks whether it is on topic."""
        return next((found for c in self.constraints if (found := c.broken(slots, response))), None)

    def ifeval(self, slots: Slots) -> list[tuple[str, dict[str, Any]]]:
        """Returns the ids and keyword arguments of IFEval's rules for the same constraints."""
        return [(c.rule, c.arguments(slots)) for c in self.constraints]


LOWERCASE, UPPERCASE, KEYWORDS, FORBIDDEN, BULLETS = Lowercase(), Uppercase(), Keywords(), Forbidden(), Bullets()
NO_COMMA, END_PHRASE, QUOTATION, TITLE = NoComma(), EndPhrase(), Quotation(), Title()
POSTSCRIPT, SENTENCES, FREQUENCY = Postscript(), Sentences(), Frequency()
SINGLE = (
    LOWERCASE,
    UPPERCASE,
    KEYWORDS,
    FORBIDDEN,
    BULLETS,
    NO_COMMA,
    END_PHRASE,
    QUOTATION,
    TITLE,
    POSTSCRIPT,
    SENTENCES,
    FREQUENCY,
)
PAIRS = (
    (LOWERCASE, BULLETS), (LOWERCASE, NO_COMMA), (UPPERCASE, NO_COMMA), (LOWERCASE, QUOTATION), (KEYWORDS, NO_COMMA),
    (BULLETS, TITLE), (TITLE, POSTSCRIPT), (FORBIDDEN, QUOTATION), (KEYWORDS, END_PHRASE), (SENTENCES, TITLE),
)  # fmt: skip
FAMILIES: tuple[Constrained, ...] = (*(Constrained(c) for c in SINGLE), *(Constrained(*pair) for pair in PAIRS))
