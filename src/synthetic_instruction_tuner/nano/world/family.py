"""What a family of tasks is: templates that write instructions, and a checker that reads them back.

Every template compiles to a regular expression, so an instruction that a *model* wrote can be parsed and solved,
and its response checked. A family can check instructions that it did not write.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from types import MappingProxyType
from typing import Literal

Split = Literal["train", "eval"]
Slots = dict[str, str]

EVAL_SHARE = 8  # one key in eight is held out for evaluation

OPENERS = (
    "Hello! ",
    "Hi there. ",
    "Good morning. ",
    "Here is a small task. ",
    "A question for you: ",
    "Next one: ",
    "I need help. ",
    "For my notes: ",
)
CLOSERS = (" Thanks!", " Thank you.", " Take your time.", " Thanks in advance.")


def split_of(key: str) -> Split:
    """Returns the split that a content key belongs to: a fixed function of the key's text."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return "eval" if int.from_bytes(digest, "big") % EVAL_SHARE == 0 else "train"


@dataclass(frozen=True, slots=True)
class Task:
    """One drawn task: an instruction, a right response, and the same content without any instruction.

    Attributes:
        family: the family's name.
        instruction: the user's words, opener and closer included.
        response: a right answer.
        worksheet: the same skill as a plain document (a title line, given data, the answer), with no request in it.
        key: the content that must not occur in both splits.
    """

    family: str
    instruction: str
    response: str
    worksheet: str
    key: str


class Family(ABC):
    """A family of tasks.

    Class attributes that a subclass sets:
        name: short snake_case name.
        domain: one of `mixture.DOMAINS`.
        templates: instruction texts with ``{slot}`` places, starting with a capital letter.
        patterns: regular expression of each slot (no capturing groups); ``.+?`` where none is given.
        weight: how often it is drawn relative to others.
        takes_marks: whether a sloppy remark around the answer leaves it parseable (False for strict formats).
    """

    name: str
    domain: str
    templates: tuple[str, ...]
    patterns: Mapping[str, str] = MappingProxyType({})
    weight: float = 1.0
    takes_marks: bool = True

    @abstractmethod
    def fill(self, rng: Random) -> Slots:
        """Returns random slot values, one for each slot of `templates`."""

    @abstractmethod
    def answer(self, rng: Random, slots: Slots) -> str:
        """Returns a right response in one of several wordings."""

    @abstractmethod
    def fault(self, slots: Slots, response: str) -> str | None:
        """Returns what is wrong with the response in a few words, or None when it is right."""

    def solvable(self, slots: Slots) -> bool:
        """Returns whether parsed slots make a task that has an answer (a model may ask for the impossible)."""
        return True

    def key(self, slots: Slots, template: str) -> str:
        """Returns the content that decides the split. Families over a finite world add the template."""
        return f"{self.name}|" + "|".join(f"{k}={slots[k].lower()}" for k in sorted(slots))

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        """Returns the content as a plain document without a request."""
        given = "\n".join(f"{k}: {v}" for k, v in slots.items())
        return f"# {self.name.replace('_', ' ')}\n{given}\n\n{response}"

    def draw(self, rng: Random, split: Split) -> Task:
        """Returns a random task of the split."""
        while True:
            slots, template = self.fill(rng), rng.choice(self.templates)
            key = self.key(slots, template)
            if split_of(key) == split:
                break
        response = self.answer(rng, slots)
        return Task(
            self.name, dress(rng, template.format(**slots)), response, self.worksheet(rng, slots, response), key
        )

    def parse(self, instruction: str) -> tuple[Slots, str] | None:
        """Returns the slots and the template of an instruction of this family, or None."""
        bare = undress(instruction)
        for template, pattern in self._compiled:
            match = pattern.fullmatch(bare)
            if match and self.solvable(slots := match.groupdict()):
                return slots, template
        return None

    @cached_property
    def _compiled(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(t, re.compile(self._pattern(t), re.DOTALL)) for t in self.templates]

    def _pattern(self, template: str) -> str:
        seen: set[str] = set()
        parts = []
        for piece in re.split(r"(\{\w+\})", template):
            name = piece[1:-1] if piece.startswith("{") and piece.endswith("}") else None
            if name is None:
                parts.append(re.escape(piece))
            elif name in seen:
                parts.append(f"(?P={name})")
            else:
                seen.add(name)
                parts.append(f"(?P<{name}>{self.patterns.get(name, '.+?')})")
        return "".join(parts)


class FollowUp(ABC):
    """A second turn that asks for something about the assistant's previous answer.

    Class attributes: name, templates and patterns as in `Family`; `after` names the families it may follow.
    """

    name: str
    templates: tuple[str, ...]
    patterns: Mapping[str, str] = MappingProxyType({})
    after: tuple[str, ...]

    @abstractmethod
    def fill(self, rng: Random, previous: str) -> Slots | None:
        """Returns slot values, or None when the previous answer offers nothing to ask about."""

    @abstractmethod
    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        """Returns a right response to the follow-up."""

    @abstractmethod
    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        """Returns what is wrong with the response, or None when it is right."""

    def parse(self, instruction: str) -> Slots | None:
        """Returns the slots of a follow-up of this kind, or None."""
        for template in self.templates:
            pattern = Family._pattern(self, template)  # type: ignore[arg-type]  # needs only `patterns`
            if match := re.fullmatch(pattern, instruction, re.DOTALL):
                return match.groupdict()
        return None


def dress(rng: Random, instruction: str) -> str:
    """Returns the instruction, sometimes with a polite opener or closer."""
    opener = rng.choice(OPENERS) if rng.random() < 0.15 else ""
    closer = rng.choice(CLOSERS) if rng.random() < 0.1 else ""
    return opener + instruction + closer


def undress(instruction: str) -> str:
    """Returns the instruction without the opener and closer that `dress` may have added."""
    for opener in OPENERS:
        instruction = instruction.removeprefix(opener)
    for closer in CLOSERS:
        instruction = instruction.removesuffix(closer)
    return instruction
