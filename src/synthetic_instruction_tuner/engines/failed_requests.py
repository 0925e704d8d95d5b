"""Describes why requests failed; used by all stages that ask an engine for text."""

from __future__ import annotations

from collections import Counter

from synthetic_instruction_tuner.engines.base import Completion

SHOWN = 3  # different reasons


def failure_reason(completion: Completion) -> str:
    """Returns why the request failed; empty if it did not."""
    return (completion.error or "no reason is known") if completion.finish_reason == "error" else ""


def failure_note(reasons: Counter[str], what: str = "requests") -> str:
    """Returns how many requests failed and why, such as "3 requests failed: too long (3)"; empty if none did."""
    return f"{reasons.total():,} {what} failed: {most_frequent(reasons)}" if reasons else ""


def most_frequent(reasons: Counter[str]) -> str:
    """Returns the most frequent reasons with their counts."""
    most = [f"{why} ({count:,})" for why, count in reasons.most_common(SHOWN)]
    more = len(reasons) - len(most)
    return ", ".join(most + ([f"{more:,} other reasons"] if more else []))
