"""Words of a text, in any script.

Letters have combining marks: vowel signs in Hindi, Tamil or Thai, accents in decomposed text. `\\w` does not match them
and would split words at each one; here a mark belongs to the letter before it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

VARIATIONS = range(0xFE00, 0xFE10)  # variation selectors of emojis, not part of a word


def _marks() -> str:
    """All combining marks below U+10000, as ranges of a character class; higher ones would make patterns slow."""
    codes = [c for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M" and c not in VARIATIONS]
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


MARKS = _marks()
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # Japanese and Chinese: each character counts as a word
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:[{MARKS}][^\W{UNSPACED}]*)*")

PART = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
AROUND = ".,;:!?…。、\"'“”‘«»「」『』()[]{}*_`"  # stripped around a word; kept within one, as in 3.5 or a*b


def words_of(text: str) -> tuple[str, ...]:
    """Returns a text's words in normal form: compatibility composition, case-folded, without punctuation."""
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def parts_of(text: str) -> list[str]:
    """Returns the parts of a text between white space, case-folded, without punctuation around them.

    Unlike `words_of`, it distinguishes numbers and formulas: -4 from 4, 3.5 from 3,5 and a*b from a+b.
    """
    found = PART.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))
    return [bare for part in found if (bare := part.strip(AROUND))]
