"""Which tokens are signs of a notation and no words, so that they may follow themselves as often as they like.

Chords, notes, codons, amino acids, knitting stitches and labels of a tagger repeat because of what they write down.
"""

from __future__ import annotations

import re

_CODON = re.compile(r"[ACGTUN]{3,}(?:-[ACGTUN]{3,})*")
_ACIDS = "Ala Arg Asn Asp Cys Gln Glu Gly His Ile Leu Lys Met Phe Pro Ser Thr Trp Tyr Val Sec Pyl Stop"
_AMINO = frozenset(_ACIDS.split())
_CHORD = re.compile(r"[A-H](?:#|b|♯|♭)?(?:maj|min|dim|aug|sus|add|m|M)?\d{0,2}(?:/[A-H][#b♯♭]?)?")
_BAR = re.compile(r"[|:/\\%.,\-–—x()\[\]\d]+")
_LABEL = re.compile(r"\w+:")
_WRAPPED = re.compile(r"[\[{<(](?=.*[\]}>)]$)[A-Z_/]{2,}\S*")
_VOWELS = frozenset("aeiouy")  # words of one letter in some language
_TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_NUMBER_WORDS = {word: number for number, word in enumerate(f"four five six seven eight nine ten {_TEENS}".split(), 4)}
MOST_COUNTED = 20
_DIGITS = re.compile(r"\d{1,2}")


def signs(tokens: list[str]) -> list[bool]:
    """Returns for each token of a line, without punctuation around it, whether it is a sign of a notation."""
    longer = any(len(token) > 1 and token.isalpha() for token in tokens)
    chords = _are_chords(tokens)
    return [
        _CODON.fullmatch(token) is not None
        or token in _AMINO
        or (chords and _CHORD.fullmatch(token) is not None)
        or (
            len(token) == 1
            and token.isascii()
            and token.isalpha()
            and not (longer and not chords and token.islower() and token in _VOWELS)
            and not (longer and not chords and token in "AI")
        )
        for token in tokens
    ]


def is_wrapped(token: str) -> bool:
    """Returns whether a token is a placeholder in brackets, such as [MASK]."""
    return _WRAPPED.fullmatch(token) is not None


def counted(line: str) -> frozenset[int]:
    """Returns the numbers from four to twenty that a line mentions: a run of so many is an exercise in counting."""
    words = line.casefold().split()
    found = {_NUMBER_WORDS[word] for word in (raw.strip(".,;:!?()") for raw in words) if word in _NUMBER_WORDS}
    return frozenset(found | {int(digits) for digits in _DIGITS.findall(line) if 3 < int(digits) <= MOST_COUNTED})


def _are_chords(tokens: list[str]) -> bool:
    """Whether nearly all tokens of a line are chords, bars or labels."""
    forms = (_CHORD, _BAR, _LABEL)
    found = sum(1 for token in tokens if not token or any(form.fullmatch(token) for form in forms))
    return len(tokens) > 2 and found >= 0.8 * len(tokens)
