"""An inverted index of rare words: finds the sets whose size and shared rare word allow them to be similar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import Ints, ranges

AT_ONCE = 1 << 18  # postings examined at once; bounds the memory
LARGEST = (1 << 24) - 1  # words in a set; sizes take 24 bits of a key
GROWTH = 4  # a level is merged into the one before unless that one is this many times larger


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The rarest words of some sets: each word with its set, that set's size, and its place in it, rarest first."""

    words: Ints
    rows: Ints
    sizes: Ints
    places: Ints

    def take(self, chosen: Ints | slice) -> Prefixes:
        """Returns some of the words."""
        return Prefixes(self.words[chosen], self.rows[chosen], self.sizes[chosen], self.places[chosen])

    def numbered(self, first: int) -> Prefixes:
        """Returns them with sets that are numbered from `first`."""
        return Prefixes(self.words, self.rows + first, self.sizes, self.places)

    def among(self, places: Ints) -> Prefixes:
        """Returns those of some sets, which get new numbers; `places` has them, and -1 for the other sets."""
        rows = places[self.rows]
        there = rows >= 0
        return Prefixes(self.words[there], rows[there], self.sizes[there], self.places[there])


@dataclass(frozen=True, slots=True)
class Level:
    """Postings sorted by word and size.

    Attributes:
        keys: ``word << 24 | size``.
        values: ``reach << 32 | number``; reach is the largest size of a set that may be similar by this posting.
    """

    keys: Ints
    values: Ints

    @classmethod
    def of(cls, keys: Ints, values: Ints) -> Level:
        """Returns the level of unsorted postings."""
        order = np.argsort(keys, kind="stable")  # fast where sorted stretches follow each other
        return cls(keys[order], values[order])


class Postings:
    """The index: for every word and size, the sets of that size that have the word in their prefix.

    Let sets x and y have a and b words, and let o = ceil(n (a + b) / (n + d)) be the number of words that they must
    share for a Jaccard index of n / d. Their first shared word is at place i of x and j of y (from 0). All shared words
    are there or later, so a - i >= o and b - j >= o. The first says b <= (d a - (n + d) i) / n, which is x's reach;
    the second says the same of y's reach and a. So the postings of a word that fit are those with a size from ceil(n a
    / d) to the word's reach in x, and a reach of a or more: a range, and one comparison.

    The index is kept in sorted levels of decreasing size, as in a log-structured merge tree.
    """

    def __init__(self, num: int, den: int) -> None:
        self._num, self._den = num, den
        self._levels: list[Level] = []

    def shortest(self, sizes: Ints) -> Ints:
        """The smallest size of a set similar to one of the given size."""
        return -(-self._num * sizes // self._den)

    def reach(self, sizes: Ints, places: Ints) -> Ints:
        """The largest size of a set whose first shared word is the one at this place."""
        reach: Ints = (self._den * sizes - (self._num + self._den) * places) // self._num
        return np.minimum(reach, LARGEST)  # very large where the threshold is low

    def add(self, prefixes: Prefixes) -> None:
        """Adds sets; their numbers are in `rows`."""
        reach = self.reach(prefixes.sizes, prefixes.places)
        self._levels.append(Level.of((prefixes.words << 24) | prefixes.sizes, (reach << 32) | prefixes.rows))
        while len(self._levels) > 1 and len(self._levels[-2].keys) < GROWTH * len(self._levels[-1].keys):
            last, before = self._levels.pop(), self._levels.pop()
            keys, values = np.concatenate([before.keys, last.keys]), np.concatenate([before.values, last.values])
            del last, before
            self._levels.append(Level.of(keys, values))

    def look_up(self, prefixes: Prefixes) -> Hits:
        """Finds the postings with a matching word and size."""
        reach = self.reach(prefixes.sizes, prefixes.places)
        first = (prefixes.words << 24) | self.shortest(prefixes.sizes)
        last = (prefixes.words << 24) | reach
        found = []
        for level in self._levels:
            starts = np.searchsorted(level.keys, first)
            counts = np.searchsorted(level.keys, last, side="right") - starts
            places = np.flatnonzero(counts > 0)
            found.append((level, places, starts[places], counts[places]))
        return Hits(prefixes, reach, found)


@dataclass(frozen=True, slots=True)
class Hits:
    """Ranges of postings that were found for some prefixes."""

    prefixes: Prefixes
    reach: Ints
    found: list[tuple[Level, Ints, Ints, Ints]]

    @property
    def total(self) -> int:
        """The number of postings to examine."""
        return sum(int(counts.sum()) for _, _, _, counts in self.found)

    def pairs(self) -> Iterator[tuple[Ints, Ints]]:
        """Yields pairs, piece by piece: places in the prefixes, and numbers of sets that may be similar to theirs."""
        least = self.prefixes.sizes << 32
        for level, places, starts, counts in self.found:
            for piece in pieces(counts):
                mine = np.repeat(places[piece], counts[piece])
                values = level.values[ranges(starts[piece], counts[piece])]
                fits = np.flatnonzero(values >= least[mine])
                yield mine[fits], values[fits] & 0xFFFFFFFF


def pieces(counts: Ints, most: int = AT_ONCE) -> Iterator[slice]:
    """Yields slices whose counts sum up to `most` at most, or that hold a single larger one."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + most, side="right")))
        yield slice(start, stop)
        start = stop
