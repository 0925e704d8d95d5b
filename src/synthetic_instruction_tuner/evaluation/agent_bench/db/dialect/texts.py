"""How MySQL compares texts, and makes texts of values.

Texts are equal where they differ in case, accents or spaces at the end alone, as in the collation utf8mb4_general_ci,
with which AgentBench's published hashes were reproduced: each character counts as the capital of its base letter.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

COLLATION = "mysql_ci"
_SHOWN_DIGITS = 15
_REMEMBERED = 200  # characters of the texts whose keys are remembered


def text(value: Any) -> str:
    """Returns a value as MySQL makes text of it: whole numbers without a point, large ones with a short exponent."""
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 10**_SHOWN_DIGITS:
            return str(int(value))
        mantissa, found, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if found else mantissa
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def key(value: str) -> str:
    """Returns what texts are compared by."""
    return letters(value.rstrip(" "))


def letters(value: str) -> str:
    """Returns a text's characters as they are compared, spaces at its end included."""
    return _short_letters(value) if len(value) <= _REMEMBERED else _letters(value)


def _letters(value: str) -> str:
    return value.upper() if value.isascii() else "".join(map(_letter, value))


_short_letters = lru_cache(maxsize=65_536)(_letters)


def compare(first: str, second: str) -> int:
    """Returns -1, 0 or 1 as the first comes before, with or after the second."""
    a, b = key(first), key(second)
    return (a > b) - (a < b)


@lru_cache(maxsize=4_096)
def _letter(character: str) -> str:
    if character == "\u00df":
        return "S"
    if character > "\uffff":
        return "\ufffd"  # all characters beyond the first plane are equal
    base = character if "\uac00" <= character <= "\ud7a3" else unicodedata.normalize("NFD", character)[0]
    capital = base.upper()
    return capital if len(capital) == 1 else base
