"""What a word is, in any script: for lengths, loops, near duplicates, benchmark items and preference pairs.

A word is a run of letters with their marks, digits and underscores. Marks are vowel signs in Hindi or Tamil, and
accents in decomposed text: `\\w` does not match them and would split words at each one.

Scripts without spaces between words (Chinese, Japanese, Thai, Khmer, ...) do not show where a word ends. Where words
are compared, each letter of these scripts is a word, with its marks. Where words are counted, as many letters as a word
has on average count as one.

Texts are compared in normal form: case, width and compatibility forms are equal, characters that nobody sees, such as
zero-width spaces and soft hyphens, are left out, and so are the differences between kinds of dashes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

VARIATIONS = range(0xFE00, 0xFE10)  # variation selectors of emojis, not part of a word


def _ranges(codes: list[int]) -> str:
    """Returns codes of characters, in order, as ranges of a character class."""
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


# Marks above U+10000 would make patterns slow.
MARKS = _ranges([c for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M" and c not in VARIATIONS])

HAN = "\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
# Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Balinese, Yi, Javanese, more of Myanmar, Tai Viet
_BLOCKS = (
    *((0xE01, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x1B00, 0x1B7F)),
    *((0xA000, 0xA48C), (0xA980, 0xA9FF), (0xAA60, 0xAADF)),
)
_OTHER = _ranges([c for a, b in _BLOCKS for c in range(a, b + 1) if unicodedata.category(chr(c)) in ("Lo", "Lm")])
UNSPACED = HAN + KANA + _OTHER
SIXTHS = ((HAN, 4), (KANA, 3), (_OTHER, 2))  # what a letter counts: 1/6 of these words

UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")
UNSPACED_RUN = re.compile(f"(?:[{UNSPACED}][{MARKS}]*)+")
WORD = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\W{UNSPACED}]+(?:[{MARKS}][^\W{UNSPACED}]*)*")
PART = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\s{UNSPACED}]+")
AROUND = ".,;:!?…。、\"'“”‘«»「」『』()[]{}*_`"  # stripped around a word; kept within one, as in 3.5 or a*b
_COUNTED = [(re.compile(f"[{letters}]"), sixths) for letters, sixths in SIXTHS]
_LETTER = re.compile(r"[^\W_]")

# Characters that nobody sees, and the ring of keycaps; but not the signs before Arabic numbers, which have width.
_UNSEEN = (
    *("\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u20e3\u3164\ufeff\uffa0", range(0x180B, 0x1810), range(0x200B, 0x2010)),
    *(range(0x202A, 0x202F), range(0x2060, 0x2070), VARIATIONS, range(0xFFF9, 0xFFFC), range(0x1BCA0, 0x1BCA4)),
    *(range(0x1D173, 0x1D17B), range(0xE0000, 0xE1000)),
)
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ"
_FRACTIONS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞↉"
_BEFORE = {  # what the normal form of Unicode would get wrong
    **{c if isinstance(c, str) else chr(c): "" for codes in _UNSEEN for c in codes},
    **dict.fromkeys("™℠®©\xa0", " "),
    **{fraction: f" {fraction}" for fraction in _FRACTIONS},  # 3½ is not 31/2
    "…": "...",
}
_ALIKE = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
    **dict.fromkeys("\xd7\u2217\u22c5", "*"),
    **dict.fromkeys("\xf7\u2044\u2215", "/"),
    **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    **{"≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "←": "<-", "⇒": "=>", "♯": "#", "∶": ":", "∣": "|"},
}
MANY = 2000  # different characters; of fewer, it is faster to replace each in the whole text
_POWER = re.compile(f"[{_RAISED}]+")


def normal_form(text: str) -> str:
    """Returns the text as it is compared: folded, without what nobody sees, and with one sign for what looks alike."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    found = set(text)
    if not found.isdisjoint(_RAISED):
        text = _POWER.sub(r"^\g<0>", text)  # 10² is not 102
    if len(found) > MANY:
        text = "".join(map(_same, text))
    else:
        for character in found:
            if character > "\x7f" and (same := _same(character)) != character:
                text = text.replace(character, same)
    return unicodedata.normalize("NFC", text.lower())


@lru_cache(1 << 16)
def _same(character: str) -> str:
    folded = unicodedata.normalize("NFKC", _BEFORE.get(character, character)).casefold()
    return "".join(_ALIKE.get(c, c) for c in unicodedata.normalize("NFKC", folded))


def words_of(text: str) -> tuple[str, ...]:
    """Returns a text's words in normal form, without punctuation and symbols."""
    return tuple(WORD.findall(normal_form(text)))


def parts_of(text: str) -> list[str]:
    """Returns the parts of a text between white space, in normal form, without punctuation around them.

    Unlike `words_of`, it distinguishes numbers and formulas: -4 from 4, 3.5 from 3,5 and a*b from a+b.
    """
    found = PART.findall(normal_form(text))
    return [bare for part in found if (bare := part.strip(AROUND))]


def count_words(text: str) -> int:
    """Returns the number of words: what white space separates, and words of scripts without spaces, estimated.

    A word has 1.5 letters in Chinese, 2 in Japanese kana, and 3 letters besides vowel signs in Thai, Lao, Khmer and
    Burmese. So a text and its translation have about as many words.
    """
    if text.isascii() or not UNSPACED_LETTER.search(text := normal_form(text)):
        return len(text.split())
    sixths = sum(value * len(letters.findall(text)) for letters, value in _COUNTED)
    others = sum(_LETTER.search(part) is not None for part in UNSPACED_RUN.sub(" ", text).split())
    return others + -(-sixths // 6)
