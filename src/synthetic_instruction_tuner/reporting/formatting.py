"""Formatting of numbers for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Returns a time span in words: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def p_value(p: float) -> str:
    """Returns a p-value with two significant digits; small ones are given as a bound."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"
