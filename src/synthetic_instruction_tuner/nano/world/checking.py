"""One checker for all that a model writes in the nano world: it finds the family, solves the task and compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.nano.world.families.flaws import strip_marks
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.mixture import FAMILIES, FOLLOW_UPS
from synthetic_instruction_tuner.records import Message


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of `check`.

    Attributes:
        family: the family or follow-up that the instruction belongs to.
        right: whether the answer, sloppy remarks aside, is right.
        clean: whether it carries no sloppy remark.
        reason: what is wrong with it, or None.
    """

    family: str
    right: bool
    clean: bool
    reason: str | None


def find_family(instruction: str) -> tuple[Family, Slots, str] | None:
    """Returns the family that the instruction belongs to, with its slots and template, or None."""
    for family in FAMILIES:
        if found := family.parse(instruction):
            return family, *found
    return None


def check(messages: Sequence[Message]) -> CheckResult | None:
    """Checks the last answer of a conversation.

    Args:
        messages: the conversation; a system prompt is ignored; the last message is the assistant's answer.

    Returns:
        The result, or None if the last instruction is not of this world.
    """
    turns = [message for message in messages if message.role != "system"]
    if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role != "user":
        return None
    instruction = turns[-2].content.strip()
    response, marked = strip_marks(turns[-1].content)
    if len(turns) > 3:
        previous = turns[-3].content.strip()
        for follow_up in FOLLOW_UPS:
            slots = follow_up.parse(instruction)
            if slots is not None:
                reason = follow_up.fault(slots, previous, response)
                return CheckResult(follow_up.name, reason is None, not marked, reason)
    found = find_family(instruction)
    if found is None:
        return None
    family, slots, _ = found
    reason = family.fault(slots, response)
    return CheckResult(family.name, reason is None, not marked, reason)
