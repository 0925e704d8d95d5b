"""Fixed random subsets of a benchmark's items, the same for every model and on every machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Item, benchmark, kind_of
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED

DIFFERING = 0.2  # of the items, on which two variants of a student usually differ
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


def what_subsets_show(config: EvaluateConfig) -> list[str]:
    """Says of each public benchmark of which only a part is asked which difference that part can show.

    Only of those that count right answers: what a rating's noise is, the answers alone will tell.
    """
    from synthetic_instruction_tuner.evaluation.power import detectable_mcnemar

    lines = []
    for name in config.benchmarks:
        asked, whole = config.settings(name).items, PUBLISHED[name].items if name in PUBLISHED else None
        known = benchmark(name)
        if kind_of(name) == "public" and whole and asked < whole and known.metric(known.headline).span == 1:
            points = 100 * detectable_mcnemar(asked, round(DIFFERING * asked))
            smallest = "no difference" if math.isnan(points) else f"differences from {points:.1f} percentage points on"
            lines.append(
                f"{name}: {asked:,} of {whole:,} items show {smallest}, in 80 % of repetitions, where two variants "
                f"differ on {100 * DIFFERING:g} % of the items."
            )
    return lines
