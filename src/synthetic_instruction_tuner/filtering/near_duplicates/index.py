"""The exact near-duplicate index: finds the word set most similar to a given one, if similar enough.

The similarity of two sets is their Jaccard index, |x & y| / |x | y|. Nothing is approximate: the threshold is a
fraction and all comparisons are made on integers. Beside the words, the symbols that carry meaning must have a
Jaccard index of (1 + t) / 2 or more: 3 + 4 is not 3 - 4, however long the text around it is.

The index is the prefix filter of Chaudhuri, Ganti and Kaushik (ICDE 2006, "A primitive operator for similarity joins")
as used by All-Pairs (Bayardo, Ma and Srikant, WWW 2007), with the length and position bounds of PPJoin (Xiao et al.,
WWW 2008): sort every set's words by one frozen order; two sets with J >= t share a word among the first
|x| - ceil(t|x|) + 1 of each. Any order is exact; an order that puts rare words first is fast. So words are ordered by
frequency again, and the index is rebuilt, whenever it has grown fourfold.

Candidates that pass the prefix filter are reduced by sketches before their words are counted: each word flips one of
256 bits, so two sets differ in at least as many words as their sketches differ in bits (the parity form of the bitmap
filter of Sandes, Teodoro and Melo, Information Systems 2020). All operations are on whole arrays, many sets at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.near_duplicates.postings import LARGEST, Hits, Postings, Prefixes
from synthetic_instruction_tuner.filtering.near_duplicates.symbols import symbols_in
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import (
    Ints,
    Vocabulary,
    WordOrder,
    WordSets,
    ranges,
    shared_words,
)

Bits = npt.NDArray[np.uint64]
BATCH = 4096  # sets compared at once
MOST = 1 << 23  # postings examined for them
FIRST_ORDER = 1024  # number of sets at which words are first ordered by frequency
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads word numbers over the sketch's bits


@dataclass(frozen=True, slots=True)
class Matches:
    """The most similar set of the index for each of some sets; the earliest of equally similar ones.

    Attributes:
        numbers: its number, in the order of adding, or -1 where no set is similar enough.
        shared: words in both.
        union: words in either.
    """

    numbers: Ints
    shared: Ints
    union: Ints

    @classmethod
    def none(cls, count: int) -> Matches:
        """Returns `count` sets without a match."""
        return cls(np.full(count, -1), np.zeros(count, np.int64), np.ones(count, np.int64))

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.numbers.tolist(), self.shared.tolist(), self.union.tolist(), strict=True)

    def put(self, row: int | Ints, number: int | Ints, shared: int | Ints, union: int | Ints) -> None:
        """Writes the match of a set, or those of some."""
        self.numbers[row], self.shared[row], self.union[row] = number, shared, union

    def improves(self, row: int, shared: int, union: int) -> bool:
        """Whether a match is more similar than the one found so far."""
        return shared * int(self.union[row]) > int(self.shared[row]) * union


@dataclass(frozen=True, slots=True)
class Prepared:
    """Sets, none of them empty, with their prefixes, sketches of 256 bits, and sketches of 64 bits."""

    sets: WordSets
    prefixes: Prefixes
    sketches: Bits
    folded: Bits

    def take(self, rows: Ints) -> Prepared:
        """Returns some of the sets, in increasing order."""
        places = np.full(len(self.sets), -1)
        places[rows] = np.arange(len(rows))
        return Prepared(self.sets.take(rows), self.prefixes.among(places), self.sketches[rows], self.folded[rows])


class NearDuplicateIndex:
    """Word sets in which the one most similar to a given set can be found.

    Attributes:
        symbols: the pieces of each text that can have symbols.
    """

    def __init__(self, threshold: Fraction) -> None:
        """Takes the lowest Jaccard index, above 0 and at most 1, that counts as similar."""
        self._num, self._den = without_overflow(threshold).as_integer_ratio()
        self._vocabulary = Vocabulary()
        self._order = WordOrder()
        self._postings = Postings(self._num, self._den)
        self._words = _GrowingArray(np.int32)
        self._sizes = _GrowingArray(np.int64)
        self._starts = _GrowingArray(np.int64)
        self._sketches = _GrowingArray(np.uint64, columns=4)
        self._folded = _GrowingArray(np.uint64)
        self.symbols: list[str] = []
        self._next_order = FIRST_ORDER

    def __len__(self) -> int:
        return len(self._sizes.data)

    def sets(self, texts: Sequence[str]) -> WordSets:
        """Returns the texts' word sets.

        Raises:
            UserError: a text has millions of distinct words.
        """
        sets = self._vocabulary.sets(texts)
        if len(sets) and int(sets.sizes.max()) > LARGEST:
            raise UserError("A text is too long to be compared.", f"It has more than {LARGEST:,} distinct words.")
        return sets

    def everything(self) -> WordSets:
        """Returns all sets that were added."""
        return WordSets(self._words.data.astype(np.int64), self._sizes.data.copy())

    def prepare(self, sets: WordSets) -> Prepared:
        """Returns sets, none of them empty, with what is needed to look them up and to add them."""
        sketches = sketch(sets)
        return Prepared(sets, self.prefixes(sets), sketches, fold(sketches))

    def add(self, sets: Prepared | WordSets) -> None:
        """Adds sets, none of them empty; their numbers continue those of the sets before."""
        new = self.prepare(sets) if isinstance(sets, WordSets) else sets
        before = len(self)
        self._starts.extend(new.sets.starts + len(self._words.data))
        self._words.extend(new.sets.words)
        self._sizes.extend(new.sets.sizes)
        self._sketches.extend(new.sketches)
        self._folded.extend(new.folded)
        self.symbols += new.sets.pieces
        if len(self) >= self._next_order:
            self._reorder()
        else:
            self._postings.add(new.prefixes.numbered(before))

    def most_similar(self, sets: WordSets) -> Matches:
        """Returns for each set, none of them empty, the most similar one at or above the threshold."""
        found = Matches.none(len(sets))
        for start in range(0, len(sets), BATCH):
            rows = np.arange(start, min(start + BATCH, len(sets)))
            self.find(self.prepare(sets.take(rows)), rows, found)
        return found

    def find(self, mine: Prepared, rows: Ints, found: Matches) -> None:
        """Looks up sets and writes the most similar one of each to its row of `found`."""
        hits = self._postings.look_up(mine.prefixes)
        if hits.total > MOST and len(rows) > 1:  # to bound the memory
            middle = len(rows) // 2
            for half in (np.arange(middle), np.arange(middle, len(rows))):
                self.find(mine.take(half), rows[half], found)
            return
        places, numbers = self.may_be_similar(hits, mine.folded, self._folded.data)
        total = mine.sets.sizes[places] + self._sizes.data[numbers]
        far = np.bitwise_count(mine.sketches[places] ^ self._sketches.data[numbers]).sum(axis=1, dtype=np.int64)
        near = far <= self.most_different(total)
        places, numbers, total = places[near], numbers[near], total[near]
        shared = shared_words(mine.sets.take(places), self._sets(numbers))
        similar = self.similar(shared, total - shared)
        columns = (column[similar].tolist() for column in (places, numbers, shared, total - shared))
        symbols = mine.sets.pieces
        for place, number, both, either in zip(*columns, strict=True):
            row = int(rows[place])
            if found.improves(row, both, either) and self.symbols_similar(symbols[place], self.symbols[number]):
                found.put(row, number, both, either)

    def _sets(self, numbers: Ints) -> WordSets:
        sizes = self._sizes.data[numbers]
        return WordSets(self._words.data[ranges(self._starts.data[numbers], sizes)].astype(np.int64), sizes)

    def may_be_similar(self, hits: Hits, mine: Bits, theirs: Bits) -> tuple[Ints, Ints]:
        """Returns the pairs of rows and numbers whose folded sketches allow similarity, each once, in order."""
        rows, sizes = hits.prefixes.rows, hits.prefixes.sizes
        most = np.minimum(self.most_different(sizes + hits.reach), 64).astype(np.uint8)
        mine = mine[rows]
        found = [np.zeros(0, np.int64)]
        for places, numbers in hits.pairs():
            near = np.flatnonzero(np.bitwise_count(mine[places] ^ theirs[numbers]) <= most[places])
            found.append((rows[places[near]] << 32) | numbers[near])
        pairs = np.unique(np.concatenate(found))
        return pairs >> 32, pairs & 0xFFFFFFFF

    def similar(self, shared: Any, union: Any) -> Any:
        """Whether two sets with this many shared words and words in all, or each of some pairs, reach the threshold."""
        return shared * self._den >= self._num * union

    def symbols_similar(self, mine: str, theirs: str) -> bool:
        """Whether the symbols of two texts are similar as well: half as many as of the words may differ.

        Args:
            mine: the pieces of a text that can have symbols.
            theirs: those of the other text.
        """
        if mine == theirs:
            return True
        left, right = symbols_in(mine), symbols_in(theirs)
        return len(left & right) * 2 * self._den >= (self._num + self._den) * len(left | right)

    def new_postings(self, prefixes: Prefixes) -> Postings:
        """Returns the postings of other sets, with the same threshold and order of words."""
        postings = Postings(self._num, self._den)
        postings.add(prefixes)
        return postings

    def most_different(self, total: Ints) -> Ints:
        """In how many words two similar sets may differ, given their words in all (shared ones counted twice)."""
        return total - 2 * -(-self._num * total // (self._num + self._den))

    def prefixes(self, sets: WordSets) -> Prefixes:
        """Returns the sets' words that must be looked up."""
        rows = sets.rows
        ranks = np.sort((rows << 32) | (self._order.rank(sets.words) + (1 << 31)))
        places = ranges(np.zeros(len(sets), np.int64), sets.sizes)
        sizes = sets.sizes[rows]
        chosen = np.flatnonzero(places <= sizes - self._postings.shortest(sizes))
        words = self._order.word((ranks[chosen] & 0xFFFFFFFF) - (1 << 31))
        return Prefixes(words, rows[chosen], sizes[chosen], places[chosen])

    def _reorder(self) -> None:
        """Orders all words by frequency and rebuilds the index in the new order."""
        self._next_order = 4 * len(self)
        self._order = WordOrder(np.bincount(self._words.data, minlength=len(self._vocabulary)))
        self._postings = Postings(self._num, self._den)
        for start in range(0, len(self), 16 * BATCH):
            numbers = np.arange(start, min(start + 16 * BATCH, len(self)))
            self._postings.add(self.prefixes(self._sets(numbers)).numbered(start))


class _GrowingArray:
    """An array that grows at its end without being copied as a whole each time."""

    def __init__(self, dtype: npt.DTypeLike, columns: int | None = None) -> None:
        self._columns = columns
        self._all = np.zeros(0 if columns is None else (0, columns), dtype)
        self._used = 0

    @property
    def data(self) -> npt.NDArray[Any]:
        """What is in it; good until the next `extend`."""
        return self._all[: self._used]

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Adds values at the end."""
        need = self._used + len(values)
        if need > len(self._all):
            room = max(need, len(self._all) * 5 // 4, 1024)
            self._all.resize((room,) if self._columns is None else (room, self._columns), refcheck=False)
        self._all[self._used : need] = values
        self._used = need


def without_overflow(threshold: Fraction, most: int = 2 * LARGEST) -> Fraction:
    """Returns the smallest fraction at or above the threshold whose denominator is at most `most`.

    If no union has more words than that, a Jaccard index is such a fraction. So it reaches this threshold exactly when
    it reaches the given one, and all products fit into 64 bits.
    """
    near = threshold.limit_denominator(most)
    if near >= threshold:
        return near
    a, b = near.as_integer_ratio()  # c/d, the next larger one with such a denominator, has bc - ad = 1
    d = -pow(a, -1, b) % b
    d += (most - d) // b * b
    return Fraction(a * d + 1, b * d)


def sketch(sets: WordSets) -> Bits:
    """Returns 256 bits (4 numbers) for each set, none of them empty; each word flips one bit."""
    place = (sets.words.astype(np.uint64) * MIX) >> np.uint64(56)
    bit = np.uint64(1) << (place & np.uint64(63))
    starts, part = sets.starts, place >> np.uint64(6)
    sketches = np.zeros((len(sets), 4), np.uint64)
    for column in range(4 if len(sets) else 0):
        sketches[:, column] = np.bitwise_xor.reduceat(np.where(part == column, bit, np.uint64(0)), starts)
    return sketches


def fold(sketches: Bits) -> Bits:
    """Returns sketches of 64 bits with the same property."""
    folded: Bits = np.bitwise_xor.reduce(sketches, axis=1)
    return folded
