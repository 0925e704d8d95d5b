"""Texts as sets of word numbers; many sets are stored in two flat arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.filtering.near_duplicates.symbol_places import places_with_symbols
from synthetic_instruction_tuner.filtering.near_duplicates.symbols import as_ascii, without_marking
from synthetic_instruction_tuner.words import MARKS, UNSPACED_RUN, normal_form
from synthetic_instruction_tuner.words import WORD as WORDS

Ints = npt.NDArray[np.int64]
WORD, PICTURE = range(2)  # kinds of what is in a set
PICTURES = "\u2600-\u266c\u2670-\u26ff\u2705\u2708-\u270f\u2713-\u2718\u2728\u274c-\u274e\u2753-\u2757\u2763-\u2767"
PICTURES += "\U0001f000-\U0001faff"
WORD_OR_END = re.compile(rf"\w[\w{MARKS}]*|[{PICTURES}]|\0")
PICTURE_ALONE = re.compile(f"[{PICTURES}]")
NUL, END = "\0", "\n\0\n"  # ends each text; a NUL never occurs within one
NO_WORDS = {code: " " for code in range(1, 128) if not (chr(code).isalnum() or chr(code) == "_")}
CHARACTERS = 1 << 20  # texts are split into words together up to this many characters


@dataclass(frozen=True, slots=True)
class WordSets:
    """Sets of word numbers, one after the other.

    Attributes:
        words: the numbers, increasing within each set, each once.
        sizes: how many of them each set has; 0 for a text without a word.
        symbols: the pieces of each text that can have symbols, for `symbols_in`; None where they are not asked for.
    """

    words: Ints
    sizes: Ints
    symbols: npt.NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> Ints:
        """Where each set begins in `words`."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def rows(self) -> Ints:
        """For each of `words` the set that it is in."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def take(self, rows: Ints) -> WordSets:
        """Returns some of the sets, in the given order."""
        sizes = self.sizes[rows]
        symbols = None if self.symbols is None else self.symbols[rows]
        return WordSets(self.words[ranges(self.starts[rows], sizes)], sizes, symbols)

    def split(self) -> list[tuple[bytes, str]]:
        """Returns the words of each set as bytes, which are equal exactly where the words are, and its symbols."""
        whole, width = self.words.tobytes(), self.words.itemsize
        ends = (np.cumsum(self.sizes) * width).tolist()
        words = [whole[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
        return list(zip(words, self.pieces, strict=True))

    @property
    def pieces(self) -> list[str]:
        """The pieces of each text that can have symbols."""
        return [""] * len(self) if self.symbols is None else self.symbols.tolist()


class WordOrder:
    """A total order of words, rare ones first. Words that were added later count as rarer than all others."""

    def __init__(self, frequency: Ints | None = None) -> None:
        counts = np.zeros(0, np.int64) if frequency is None else frequency
        self._words = np.argsort(counts, kind="stable")
        self._ranks = np.empty(len(counts), np.int64)
        self._ranks[self._words] = np.arange(len(counts))

    def rank(self, words: Ints) -> Ints:
        """Returns the words' places: 0 and above for words that were counted, below 0 for later ones."""
        known = len(self._ranks)
        if not known:
            return -1 - words
        return np.where(words < known, self._ranks[np.minimum(words, known - 1)], known - 1 - words)

    def word(self, ranks: Ints) -> Ints:
        """Returns the words at the places: the inverse of `rank`."""
        known = len(self._ranks)
        return np.where(ranks < 0, known - 1 - ranks, self._words[np.maximum(ranks, 0)] if known else 0)


class Vocabulary(dict[str, int]):
    """Word -> number, in order of first occurrence, so the same in every process."""

    def __init__(self) -> None:
        self._kinds = bytearray()
        self._end = self["\0"]

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        self._kinds.append(PICTURE if len(word) == 1 and PICTURE_ALONE.match(word) else WORD)
        return number

    def kinds(self, words: Ints) -> npt.NDArray[np.uint8]:
        """Returns whether numbers are those of a `WORD` or of a `PICTURE`."""
        found: npt.NDArray[np.uint8] = np.frombuffer(bytes(self._kinds), np.uint8)[words]
        return found

    def sets(self, texts: Sequence[str]) -> WordSets:
        """Returns the texts' sets of words and pictures, and their symbols; that of a text without a word is empty."""
        parts = [self._sets(group) for group in _groups(texts)]
        return parts[0] if len(parts) == 1 else join(parts)

    def _sets(self, texts: Sequence[str]) -> WordSets:
        """Splits all texts in one pass, which takes half the time; those in ASCII apart, where it takes least."""
        found = [text if text.isascii() else as_ascii(normal_form(text)) for text in texts]
        plain = np.fromiter((text.isascii() for text in found), bool, len(found))
        keys, symbols = [], np.full(len(texts), "", object)
        for is_plain in (True, False):
            rows = np.flatnonzero(plain == is_plain)
            if not len(rows):
                continue
            whole = joined([found[row] for row in rows.tolist()])
            keys.append(self._keys(whole, rows))
            symbols[rows] = places_with_symbols(whole, len(rows))
        words, sizes = _unique(np.concatenate(keys), len(texts))
        return WordSets(words, sizes, symbols)

    def _keys(self, whole: str, rows: Ints) -> Ints:
        """Returns row and number, in one number, for all words of some of the texts."""
        found = _words(whole)
        words, where = self._without_ends(np.fromiter(map(self.__getitem__, found), np.int64, len(found)))
        if not whole.isascii():  # pictures are words, beside others
            pictures = self.kinds(words) == PICTURE
            kept = ~pictures | (np.bincount(where[~pictures], minlength=len(rows)) > 0)[where]
            words, where = words[kept], where[kept]
        keys: Ints = (rows[where] << 32) | words
        return keys

    def _without_ends(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Returns the numbers without those that end a text, and the text of each."""
        is_end = numbers == self._end
        return numbers[~is_end], np.cumsum(is_end)[~is_end]


def _unique(keys: Ints, count: int) -> tuple[Ints, Ints]:
    """Returns the different numbers of each row, in order, and how many each of the `count` rows has."""
    keys.sort()
    keys = keys[np.diff(keys, prepend=-1) != 0]
    return keys & 0xFFFFFFFF, np.bincount(keys >> 32, minlength=count)


def joined(texts: Sequence[str]) -> str:
    """Returns texts in normal form as one, each ended by `END`, without Markdown's emphasis.

    Args:
        texts: in ASCII or in normal form.
    """
    return without_marking("".join([f"{text.replace(NUL, ' ')}{END}" for text in texts]).lower())


def _words(whole: str) -> list[str]:
    """Returns the words of a text in normal form, and each NUL.

    Letters of scripts without spaces are words, and so are two that stand beside each other: each alone says little.
    """
    if whole.isascii():
        return whole.translate(NO_WORDS).split()
    words: list[str] = WORD_OR_END.findall(UNSPACED_RUN.sub(_letters, whole))
    return words


def _letters(run: re.Match[str]) -> str:
    letters = WORDS.findall(run[0])
    return " ".join(["", *letters, *map("".join, pairwise(letters)), ""])


def shared_words(left: WordSets, right: WordSets) -> Ints:
    """Returns how many words the left and the right set at each place have in common."""
    mine, theirs = (left.rows << 32) | left.words, (right.rows << 32) | right.words
    if not len(mine) or not len(theirs):
        return np.zeros(len(left), np.int64)
    place = np.searchsorted(mine, theirs)
    there = mine[np.minimum(place, len(mine) - 1)] == theirs
    counts: Ints = np.bincount(theirs[there] >> 32, minlength=len(left))
    return counts


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Returns start, start + 1, ... for every start, `counts` of them each, as one array."""
    ends = np.cumsum(counts)
    places: Ints = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return places


def join(parts: Sequence[WordSets]) -> WordSets:
    """Returns the sets of all parts, one after the other."""
    if not parts:
        return WordSets(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, object))
    words, sizes = np.concatenate([p.words for p in parts]), np.concatenate([p.sizes for p in parts])
    symbols = [p.symbols for p in parts if p.symbols is not None]
    return WordSets(words, sizes, np.concatenate(symbols) if len(symbols) == len(parts) else None)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for i, text in enumerate(texts):
        if size and size + len(text) > CHARACTERS:
            yield texts[start:i]
            start, size = i, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
