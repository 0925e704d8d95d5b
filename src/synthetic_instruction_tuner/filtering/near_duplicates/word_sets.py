"""Texts as sets of word numbers; many sets are stored in two flat arrays."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.words import MARKS

Ints = npt.NDArray[np.int64]
WORD_OR_END = re.compile(rf"\w[\w{MARKS}]*|\0")
CHARACTERS = 1 << 20  # texts are split into words together up to this many characters


@dataclass(frozen=True, slots=True)
class WordSets:
    """Sets of word numbers, one after the other.

    Attributes:
        words: the numbers, increasing within each set, each once.
        sizes: how many of them each set has; 0 for a text without a word.
    """

    words: Ints
    sizes: Ints

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
        return WordSets(self.words[ranges(self.starts[rows], sizes)], sizes)

    def split(self) -> list[bytes]:
        """Returns each set as bytes, which are equal exactly where the sets are."""
        whole, width = self.words.tobytes(), self.words.itemsize
        ends = (np.cumsum(self.sizes) * width).tolist()
        return [whole[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


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

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number

    def sets(self, texts: Sequence[str]) -> WordSets:
        """Returns the texts' word sets: lower-cased, composed runs of letters with their marks, digits, underscores."""
        parts = [self._sets(group) for group in _groups(texts)]
        if not parts:
            return WordSets(np.zeros(0, np.int64), np.zeros(0, np.int64))
        return parts[0] if len(parts) == 1 else join(parts)

    def _sets(self, texts: Sequence[str]) -> WordSets:
        """Splits all texts in one pass, which takes half the time; a NUL ends each text and never occurs within one."""
        whole = "".join(text.replace("\0", " ") + "\0" for text in texts).lower()
        whole = unicodedata.normalize("NFC", whole)
        found = WORD_OR_END.findall(whole)
        end = self["\0"]
        numbers = np.fromiter(map(self.__getitem__, found), np.int64, len(found))
        is_end = numbers == end
        rows = np.cumsum(is_end)[~is_end]
        keys = np.sort((rows << 32) | numbers[~is_end])
        keys = keys[np.diff(keys, prepend=-1) != 0]
        return WordSets(keys & 0xFFFFFFFF, np.bincount(keys >> 32, minlength=len(texts)))


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
    return WordSets(np.concatenate([p.words for p in parts]), np.concatenate([p.sizes for p in parts]))


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for i, text in enumerate(texts):
        if size and size + len(text) > CHARACTERS:
            yield texts[start:i]
            start, size = i, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
