"""How diverse instructions are, in a few numbers, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Diversity:
    """The diversity statistics of a set of records.

    Attributes:
        records: how many.
        instruction_words, response_words: mean lengths.
        distinct_1, distinct_2: distinct words, and pairs of words, of the instructions over all of them (Li et al.
            2016, arXiv:1510.03055).
        openings: different first three words of instructions.
        most_common_opening, most_common_share: the most frequent of them and its share.
        domains: records by domain.
        turns: mean number of user turns.
    """

    records: int
    instruction_words: float
    response_words: float
    distinct_1: float
    distinct_2: float
    openings: int
    most_common_opening: str
    most_common_share: float
    domains: dict[str, int]
    turns: float


def diversity(rows: Iterable[Mapping[str, Any]]) -> Diversity | None:
    """Returns the diversity of records in the store's form; None where there are no records."""
    records = asked = answered = turns = 0
    words: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    pair_count = 0
    openings: Counter[str] = Counter()
    domains: Counter[str] = Counter()
    for row in rows:
        found = row["instruction"].casefold().split()
        records += 1
        asked += len(found)
        answered += len(row["response"].split())
        turns += 1 + sum(turn["role"] == "user" for turn in row.get("history") or ())
        words.update(found)
        pairs.update(pairwise(found))
        pair_count += max(0, len(found) - 1)
        openings[" ".join(found[:3])] += 1
        if row.get("domain"):
            domains[row["domain"]] += 1
    if not records:
        return None
    first, count = min(openings.items(), key=lambda item: (-item[1], item[0]))
    return Diversity(
        records=records,
        instruction_words=asked / records,
        response_words=answered / records,
        distinct_1=len(words) / asked if asked else 0.0,
        distinct_2=len(pairs) / pair_count if pair_count else 0.0,
        openings=len(openings),
        most_common_opening=first,
        most_common_share=count / records,
        domains=dict(sorted(domains.items())),
        turns=turns / records,
    )
