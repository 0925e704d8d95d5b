"""A constraint: a rule on the form of a text, whose check says the same as IFEval's own rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.family import Slots


class Constraint(ABC):
    """One rule on the form of a text.

    Class attributes:
        name: short name.
        rule: the id of IFEval's rule.
        wordings: the requests, with the constraint's slots.
        patterns: regular expression of each slot.
        stage: the order in which rules shape a text (layout before case before quotation marks).
    """

    name: str
    rule: str
    wordings: tuple[str, ...]
    patterns: dict[str, str] = {}
    stage = 0

    def fill(self, rng: Random) -> Slots:
        """Returns the rule's own slots."""
        return {}

    def count(self, slots: Slots) -> int:
        """Returns how many sentences the text needs."""
        return 3

    def avoid(self, slots: Slots) -> str | None:
        """Returns what no sentence may contain."""
        return None

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        """Returns the text (sentences on lines of their own) in a form that follows the rule."""
        return text

    @abstractmethod
    def broken(self, slots: Slots, text: str) -> str | None:
        """Returns how the text breaks the rule, or None."""

    def arguments(self, slots: Slots) -> dict[str, Any]:
        """Returns the keyword arguments of IFEval's rule."""
        return {}
