"""What a judge's reply says: a rating from 1 to 10, or which of two answers is better.

Judges are asked to write their verdict in double brackets, as in MT-Bench (Zheng et al. 2023, arXiv:2306.05685). The
last one counts: a judge may quote what an answer demands before it decides. Nothing is guessed: a reply without a
verdict has none, whatever it says.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Winner = Literal["first", "second", "tie"]

LOWEST, HIGHEST = 1.0, 10.0  # ratings
_WINNERS: dict[str, Winner] = {"A": "first", "B": "second", "C": "tie"}
_DECORATION = r"[\s*_]*"
_LETTER = re.compile(rf"\[\[{_DECORATION}([ABC]){_DECORATION}\]\]")
_NUMBER = re.compile(
    rf"\[\[{_DECORATION}(?:rating{_DECORATION}:?)?{_DECORATION}([+-]?[0-9]+(?:\.[0-9]*)?){_DECORATION}(?:/\s*10)?"
    rf"{_DECORATION}\]\]",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"rating{_DECORATION}:{_DECORATION}\[\s*([0-9]+(?:\.[0-9]*)?)\s*(?:/\s*10\s*)?\](?!\()", re.IGNORECASE
)
_ESCAPED = re.compile(r"\\+([\[\]])")


def read_winner(text: str) -> Winner | None:
    """Returns the winner named last in the judge's reply, or None."""
    found = _LETTER.findall(_plain(text))
    return _WINNERS[found[-1]] if found else None


def read_rating(text: str) -> float | None:
    """Returns the last rating in the judge's reply if it is from 1 to 10, or None.

    Where there is no number in double brackets, ``Rating: [7]`` counts, a single one in single brackets.
    """
    plain = _plain(text)
    found = _NUMBER.findall(plain) or _ALONE.findall(plain)
    if not found:
        return None
    rating = float(found[-1])
    return rating if LOWEST <= rating <= HIGHEST else None


def without_thoughts(text: str) -> str:
    """Returns the text without its thinking block, also if the block was cut off."""
    before, closed, after = text.rpartition("</think>")
    return after if closed else text.partition("<think>")[0] if "<think>" in text else before + after


def _plain(text: str) -> str:
    """Returns the reply without thoughts, with brackets and digits in their usual form."""
    return _ESCAPED.sub(r"\1", unicodedata.normalize("NFKC", without_thoughts(text)))
