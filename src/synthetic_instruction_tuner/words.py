"""What a word of a text is, in any script.

Letters carry marks: vowel signs in Hindi, Tamil or Thai, accents in decomposed text. For `\\w` a mark is no letter, and
words would be cut at each of them; here a mark belongs to the letter before it.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

VARIATIONS = range(0xFE00, 0xFE10)  # how an emoji is drawn: part of no word


def _marks() -> str:
    """All combining marks below U+10000, as ranges of a character class; those above would make patterns slow."""
    codes = [c for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M" and c not in VARIATIONS]
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


MARKS = _marks()
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # Japanese and Chinese: each character counts as a word
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:[{MARKS}][^\W{UNSPACED}]*)*")

PART = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
AROUND = ".,;:!?…。、\"'“”‘«»「」『』()[]{}*_`"  # marks around a word; within one, as in 3.5 or a*b, they may matter


def words_of(text: str) -> tuple[str, ...]:
    """Returns a text's words without their form: in compatibility composition, case-folded, without punctuation."""
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def parts_of(text: str) -> list[str]:
    """Returns what stands between white space, case-folded, without punctuation around it.

    Other than `words_of`, it keeps what tells numbers and formulas apart: -4 from 4, 3.5 from 3,5 and a*b from a+b.
    """
    found = PART.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))
    return [bare for part in found if (bare := part.strip(AROUND))]
