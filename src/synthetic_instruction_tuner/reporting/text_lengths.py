"""Lengths and domains of records before and after the filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from synthetic_instruction_tuner.words import count_words

KINDS = {"instruction": "Instructions", "response": "Responses"}
Rows = Iterable[Mapping[str, Any]]


def lengths(raw: Rows, kept: Rows) -> list[tuple[str, list[int], list[int]]]:
    """Returns by kind of text its name, and the words of each text before and after the filter.

    Args:
        raw: all records, as the store has them.
        kept: those that the filter kept.
    """
    before, after = _words(raw), _words(kept)
    return [(name, before[kind], after[kind]) for kind, name in KINDS.items()]


def domains(raw: Rows, kept: Rows) -> dict[str, tuple[int, int]]:
    """Returns by domain how many records there are before and after the filter; "" is that of records without one."""
    before, after = (Counter(str(row.get("domain") or "") for row in rows) for rows in (raw, kept))
    return {name: (count, after[name]) for name, count in sorted(before.items())}


def _words(rows: Rows) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for row in rows:
        for kind, words in found.items():
            words.append(count_words(row[kind]))
    return found
