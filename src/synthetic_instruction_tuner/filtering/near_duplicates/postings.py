"""Which sets share a rare word, and are of a size and have it at a place that lets them be similar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthetic_instruction_tuner.filtering.near_duplicates.arrays import Ints, pieces, ranges

LARGEST = (1 << 24) - 1  # words in a set; sizes take 24 bits of a key
GROWTH = 4  # a level is merged into the one before unless that is so many times larger


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
    """The index: for every word and size the sets of that size which have the word in their prefix.

    Let sets x and y have a and b words, o = ceil(n (a + b) / (n + d)) the least number of words that they must share
    for a Jaccard index of n / d. Their first shared word stands at place i of x and j of y (from 0). All shared words
    stand there or later, so a - i >= o and b - j >= o. The first says b <= (d a - (n + d) i) / n, which is x's reach;
    the second says the same of y's reach and a. So the postings of a word that fit are those with a size from ceil(n a
    / d) to the word's reach in x, and a reach of a or more: a range, and one comparison.

    It is kept in levels of falling size, each sorted, as in a log-structured merge tree.
    """

    def __init__(self, num: int, den: int) -> None:
        self._num, self._den = num, den
        self._levels: list[Level] = []

    def shortest(self, sizes: Ints) -> Ints:
        """The least size of a set similar to one of the given size."""
        return -(-self._num * sizes // self._den)

    def reach(self, sizes: Ints, places: Ints) -> Ints:
        """The largest size of a set whose first shared word is the one at this place."""
        reach: Ints = (self._den * sizes - (self._num + self._den) * places) // self._num
        return np.minimum(reach, LARGEST)  # far away where the threshold is low

    def add(self, prefixes: Prefixes) -> None:
        """Takes in sets; their numbers stand in `rows`."""
        reach = self.reach(prefixes.sizes, prefixes.places)
        self._levels.append(Level.of((prefixes.words << 24) | prefixes.sizes, (reach << 32) | prefixes.rows))
        while len(self._levels) > 1 and len(self._levels[-2].keys) < GROWTH * len(self._levels[-1].keys):
            last, before = self._levels.pop(), self._levels.pop()
            keys, values = np.concatenate([before.keys, last.keys]), np.concatenate([before.values, last.values])
            del last, before
            self._levels.append(Level.of(keys, values))

    def look_up(self, prefixes: Prefixes) -> Hits:
        """Finds the postings of words and of sizes that fit."""
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
    """Stretches of postings that were found for some prefixes."""

    prefixes: Prefixes
    reach: Ints
    found: list[tuple[Level, Ints, Ints, Ints]]

    @property
    def total(self) -> int:
        """How many postings there are to look at."""
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
