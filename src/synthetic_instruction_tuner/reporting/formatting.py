"""Formatting of numbers for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from synthetic_instruction_tuner.reporting.language.translation import say


def duration(seconds: float) -> str:
    """Returns a time span in words: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    if whole < 3600:
        return say("{minutes} min {seconds:02d} s", minutes=whole // 60, seconds=whole % 60)
    return say("{hours} h {minutes:02d} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def rate(per_second: float) -> str:
    """Returns how often something happens, in a unit of time in which it is a readable number: 25 a second."""
    units = ((1, "a second"), (60, "a minute"), (3600, "an hour"))
    seconds, unit = next((one for one in units if per_second * one[0] >= 1), units[-1])
    often = per_second * seconds
    return f"{often:,.0f} {unit}" if often >= 10 else f"{often:.1f} {unit}"


def gigabytes(gb: float) -> str:
    """Returns an amount of memory, given in GB of 1e9 bytes: 25.2 GB; below 0.1 GB with two digits more."""
    return f"{gb:.1f} GB" if gb >= 0.1 else f"{gb:.3f} GB"


def counted(n: int, unit: str) -> str:
    """Returns a number with its unit, which is given in the plural: 1 adapter, 1,500 records."""
    return f"{n:,} {unit.removesuffix('s') if n == 1 else unit}"


def p_value(p: float) -> str:
    """Returns a p-value with two significant digits; small ones are given as a bound."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def number(value: float | int | None) -> str:
    """Returns a number with three significant digits, a whole one with all of them; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def measured(value: float, error: float) -> str:
    """Returns a value with its error, both with the decimals that give the error two significant digits."""
    if math.isnan(error):
        return f"{number(value)} ± n/a"
    decimals = max(0, 1 - math.floor(math.log10(error))) if error else 3
    shown = round(value, decimals) + 0.0  # no −0.0
    return f"{shown:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")


def listed(parts: Sequence[str], last: Literal["and", "or"] = "and") -> str:
    """Returns the parts as they stand in a sentence: a, b and c; `last` is the word before the last one."""
    if len(parts) < 2:
        return "".join(parts)
    values = {"parts": ", ".join(parts[:-1]), "last": parts[-1]}
    return say("{parts} and {last}", **values) if last == "and" else say("{parts} or {last}", **values)
