"""Says how often, and why, the engine failed on requests."""

from __future__ import annotations

from collections import Counter

SHOWN = 3  # different reasons


def given_up(reasons: Counter[str], what: str) -> str:
    """Returns how many requests failed and why; empty where none did."""
    return f"the engine failed on {reasons.total():,} {what}: {most_frequent(reasons)}" if reasons else ""


def most_frequent(reasons: Counter[str]) -> str:
    """Returns the most frequent reasons with their counts."""
    most = [f"{why} ({count:,})" for why, count in reasons.most_common(SHOWN)]
    more = len(reasons) - len(most)
    return ", ".join(most + ([f"{more:,} other reasons"] if more else []))
