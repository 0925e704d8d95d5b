"""Fixed random subsets of a benchmark's items, the same for every model and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from synthetic_instruction_tuner.evaluation.benchmarks.base import Item

AnItem = TypeVar("AnItem", bound=Item)


def fixed_subset(items: Sequence[AnItem], count: int) -> list[AnItem]:
    """Returns `count` of the items, or all if there are not so many, in their order.

    The items' ids alone decide, by a hash: a smaller subset is a part of every larger one, and an item that is missing
    on one machine changes nothing else.
    """
    if count >= len(items):
        return list(items)
    ranked = sorted(range(len(items)), key=lambda i: hashlib.blake2b(items[i].id.encode(), digest_size=8).digest())
    return [items[i] for i in sorted(ranked[:count])]
