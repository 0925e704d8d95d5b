"""How many records each domain gets, exactly, and in what order they are written."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import TypeVar

Name = TypeVar("Name")


def apportion(total: int, shares: Mapping[Name, float]) -> dict[Name, int]:
    """Returns whole numbers that add up to the total, in proportion to the shares.

    By largest remainder (Hamilton's method): everyone gets the whole part of the exact quota; what is left goes one by
    one to the largest remainders, of equal ones to the first. No number is off its quota by one or more. Exact
    arithmetic on the shares' decimals, so that 0.1 and 0.2 tie where people expect it.
    """
    exact = {name: Fraction(repr(float(share))) for name, share in shares.items()}
    whole = sum(exact.values())
    if total <= 0 or whole <= 0:
        return dict.fromkeys(shares, 0)
    quotas = {name: total * share / whole for name, share in exact.items()}
    counts = {name: floor(quota) for name, quota in quotas.items()}
    order = {name: place for place, name in enumerate(counts)}
    left = sorted(counts, key=lambda name: (counts[name] - quotas[name], order[name]))
    for name in left[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def interleave(counts: Mapping[Name, int]) -> list[Name]:
    """Returns every name as often as its count says, each spread evenly over the whole list."""
    places = [
        ((2 * i + 1) / (2 * count), order, name)
        for order, (name, count) in enumerate(counts.items())
        for i in range(count)
    ]
    places.sort(key=lambda place: place[:2])
    return [name for *_, name in places]
