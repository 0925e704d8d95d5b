"""Which part of the nano world a conversation is from."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.nano.world.checking import find_family
from synthetic_instruction_tuner.nano.world.family import Split, split_of
from synthetic_instruction_tuner.records import Message


def split_of_conversation(messages: Sequence[Message]) -> Split | None:
    """Returns the split that the first instruction belongs to, or None if it is not of this world."""
    first = next((message for message in messages if message.role == "user"), None)
    found = find_family(first.content.strip()) if first else None
    if found is None:
        return None
    family, slots, template = found
    return split_of(family.key(slots, template))
