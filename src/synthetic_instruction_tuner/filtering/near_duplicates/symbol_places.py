"""Finds the few places of many texts where a symbol can be, in one pass of whole arrays.

What `symbols.symbols_in` finds in these pieces is what it finds in the whole texts, and most texts have none. So
symbols are looked for only where the words of two texts are near, and only in these pieces.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.filtering.near_duplicates.symbols import POINTS, STRONG, SUFFIXES, WEAK
from synthetic_instruction_tuner.words import MARKS

Codes = npt.NDArray[Any]
Kinds = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_LETTER, _FIGURE, _BEYOND, _SPACE, _POINT, _WEAK, _STRONG = range(1, 8)
_WORDS, _MARKS, _SPACES = re.compile(r"\w+"), re.compile(f"[{MARKS}]+"), re.compile(r"\s+")


@cache
def _kinds(count: int) -> Kinds:
    """For each of the first characters what it can be, 0 for other punctuation; marks are like what is beyond."""
    characters = "".join(map(chr, range(count - 1)))
    kinds = np.zeros(count, np.uint8)
    kinds[-1] = _BEYOND
    for signs, kind in ((POINTS, _POINT), (WEAK, _WEAK), (STRONG, _STRONG)):
        codes = np.array([*map(ord, signs)])
        kinds[codes[codes < count - 1]] = kind
    for pattern, kind in ((_SPACES, _SPACE), (_WORDS, _LETTER), (_MARKS, _BEYOND)):
        for found in pattern.finditer(characters):
            kinds[found.start() : found.end()] = kind
    kinds[np.flatnonzero(np.fromiter(map(str.isdigit, characters), bool))] = _FIGURE
    kinds[ord("_")] = _FIGURE
    return kinds


_SUFFIXES = np.zeros(1 << 16, bool)  # how a suffix begins: two letters of ASCII
_SUFFIXES[[ord(name[0]) << 8 | ord(name[1]) for name in SUFFIXES]] = True
_ASCII_KINDS = _kinds(256).tobytes()


def places_with_symbols(whole: str, count: int) -> list[str]:
    """Returns for each of some texts the pieces of it that can have a symbol, each ended by a NUL.

    Args:
        whole: the texts in normal form, each ended by a line that is a NUL.
        count: how many they are.
    """
    if whole.isascii():
        encoding, data = "ascii", whole.encode()
        codes: Codes = np.frombuffer(data, np.uint8)
        kinds = np.frombuffer(data.translate(_ASCII_KINDS), np.uint8)
    else:
        encoding = "utf-32-le"
        codes = np.frombuffer(whole.encode(encoding, "surrogatepass"), "<u4")
        table = _kinds(1 << 16)
        kinds = table[np.minimum(codes, len(table) - 1)]
    weak = np.flatnonzero((kinds == _POINT) | (kinds == _WEAK))
    weak = weak[~_are_ordinary(codes, kinds, weak)]
    signs = (np.flatnonzero(kinds == _STRONG), weak[_can_mean(codes, kinds, weak)])
    space = np.concatenate(([True], kinds == _SPACE, [True]))
    edges = np.flatnonzero(space[1:] != space[:-1])
    starts, ends = edges[::2], edges[1::2]
    has_sign = np.zeros(len(starts), bool)
    for places in signs:
        has_sign[np.searchsorted(starts, places, side="right") - 1] = True
    parts = np.flatnonzero(has_sign)
    if not len(parts):
        return [""] * count
    nuls = np.searchsorted(starts, np.flatnonzero(codes == 0))
    texts = np.searchsorted(nuls, parts)
    first = np.maximum(parts - (kinds[starts[parts]] >= _WEAK), np.concatenate(([-1], nuls))[texts] + 1)
    last = np.minimum(parts + (kinds[ends[parts] - 1] >= _WEAK), nuls[texts] - 1)
    new = np.concatenate(([True], (first[1:] > last[:-1] + 1) | (texts[1:] > texts[:-1])))
    first, last, texts = first[new], last[np.concatenate((new[1:], [True]))], texts[new]
    begins = np.where(first > 0, ends[first - 1], starts[0])  # with the white space before
    sizes = ends[last] - begins + 1
    stops = np.cumsum(sizes)
    kept = codes[np.arange(stops[-1]) + np.repeat(begins - (stops - sizes), sizes)]
    kept[stops - 1] = 0
    pieces = kept.tobytes().decode(encoding, "surrogatepass")
    bounds = np.concatenate(([0], stops))[np.searchsorted(texts, np.arange(count + 1))]
    return [pieces[start:stop] for start, stop in pairwise(bounds.tolist())]


def _are_ordinary(codes: Codes, kinds: Kinds, at: Places) -> Mask:
    """Whether signs are surely punctuation: most are, behind a word or within one."""
    behind = (kinds[at - 1] == _LETTER) & (kinds[at - 2] == _LETTER)
    sign, after = codes[at], kinds[at + 1]
    within = (after == _LETTER) & (kinds[at + 2] == _LETTER) & _are(sign, ".:'?-/")
    periods = np.flatnonzero(within & (sign == ord(".")))
    within[periods] = ~_begins_suffix(codes, at[periods])
    ordinary: Mask = behind & (within | ((after == _SPACE) & _are(sign, ".:'?!*")))
    return ordinary


def _can_mean(codes: Codes, kinds: Kinds, at: Places) -> Mask:
    """Whether signs can mean something by what is beside them; most are punctuation, hyphens and emphasis."""
    before, before2, before3 = (kinds[at - i] for i in (1, 2, 3))
    after, after2 = kinds[at + 1], kinds[at + 2]  # there is a line's end and a NUL
    sign, previous, following = codes[at], codes[at - 1], codes[at + 1]
    one_letter = _word(before) & ~_surely_word(before2)
    quoted = _are(previous, "\"'`") & ~_surely_word(after)
    spaced = before == _SPACE
    words = (before == _LETTER) & (before2 == _LETTER) & (after == _LETTER) & (after2 == _LETTER)
    named = _are(codes[at - 2], "r") & _are(codes[at - 3], "o")  # operator
    named |= _are(codes[at + 2], "osc") & _are(codes[at + 3], "piyh")  # sign, symbol
    dash = spaced & (after == _SPACE) & (before2 == _LETTER) & (before3 == _LETTER) & (after2 != _SPACE) & ~named
    stars = np.where(following == ord("*"), after2, after)
    star = (stars != _SPACE) & (_word(before) | _are(previous, ")]}'\"`%!|") | _word(stars))
    star |= (spaced & ~_word(stars)) | one_letter | quoted
    star |= (after == _SPACE) & _can_be_figure(before) & _can_be_figure(after2)  # 12* 5
    exclaimed = _word(after) | _are(following, "=(!-*/") | (before == _FIGURE) | _are(previous, ")")
    figure = _can_be_figure(after)
    ahead = ~_word(before) & (before != _POINT) & _word(after)
    can = {
        ".": figure | ((previous == ord(".")) & _word(after)) | quoted | ahead | _begins_suffix(codes, at),
        ":": figure | ahead,
        "'": one_letter & ~_surely_word(after),
        "?": (_are(following, ".?") & _word(after2)) | quoted,
        "!": exclaimed | one_letter | quoted | spaced,
        "-": ~words & ~dash,
        "/": ~words & ~dash & ~((previous == ord(":")) & (following == ord("/"))),
        "*": (previous != ord("*")) & star,
        "\\": _word(after) | (after == _SPACE) | quoted | spaced,
    }
    result = np.ones(len(at), bool)
    for character, mask in can.items():
        result &= (sign != ord(character)) | mask
    return result


def _begins_suffix(codes: Codes, at: Places) -> Mask:
    """Whether periods, which no end of the texts follows, are before letters with which a suffix begins."""
    first, second = codes[at + 1].astype(np.uint16), codes[at + 2].astype(np.uint16)
    found: Mask = _SUFFIXES[(first << 8) | (second & 255)] & (second < 256) & (first < 256)
    return found


def _word(kinds: Kinds) -> Mask:
    return (kinds >= _LETTER) & (kinds <= _BEYOND)


def _surely_word(kinds: Kinds) -> Mask:
    return (kinds >= _LETTER) & (kinds <= _FIGURE)


def _can_be_figure(kinds: Kinds) -> Mask:
    found: Mask = (kinds == _FIGURE) | (kinds == _BEYOND)
    return found


def _are(codes: Codes, characters: str) -> Mask:
    """Whether codes are those of some characters; faster than `np.isin` for few of them."""
    found: Mask = np.logical_or.reduce([codes == ord(c) for c in characters])
    return found
