"""Keep-first deduplication: a text is dropped if it is a near duplicate of an earlier text that stayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from synthetic_instruction_tuner.filtering.near_duplicates.index import (
    BATCH,
    Matches,
    NearDuplicateIndex,
)
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import Ints, WordSets

MOST = 1 << 20  # postings looked at when a batch is compared with itself
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions on some texts.

    Attributes:
        matches: the number of the most similar earlier text that stayed, if it is similar enough.
        stays: which of them stay, so that later ones are compared with them; they are numbered in order, across all
            calls. A text without a word is not compared and never stays in this sense.
        sizes: the number of distinct words of each.
    """

    matches: Matches
    stays: Mask
    sizes: Ints


class KeepFirst:
    """Decides text by text, in batches of any size: how texts are split into batches makes no difference."""

    def __init__(self, threshold: Fraction) -> None:
        """Takes the lowest Jaccard index, above 0 and at most 1, that counts as similar."""
        self.index = NearDuplicateIndex(threshold)

    def remember(self, texts: Sequence[str]) -> Mask:
        """Adds texts that count as earlier ones that stayed, even if they are similar to each other.

        Returns:
            Which of them got a number: all but those without a word and those whose words equal an earlier one's.
        """
        sets = self.index.sets(texts)
        new = sets.sizes > 0
        filled = np.flatnonzero(new)
        parts = sets.take(filled)
        found = self.index.most_similar(parts)
        seen: set[tuple[bytes, str]] = set()
        for row, words, (number, shared, union) in zip(filled.tolist(), parts.split(), found, strict=True):
            known = shared == union and words[1] == self.index.symbols[number]
            new[row] = not known and words not in seen
            seen.add(words)
        self.index.add(sets.take(np.flatnonzero(new)))
        return new

    def decide(self, texts: Sequence[str], may_stay: Sequence[bool] | None = None) -> Decisions:
        """Compares each text with all earlier ones that stayed, and adds those that stay.

        Args:
            texts: the texts, in order.
            may_stay: False for texts that are compared but never stay; when None, all may stay.
        """
        asked = np.ones(len(texts), bool) if may_stay is None else np.array(may_stay, bool)
        sets = self.index.sets(texts)
        decisions = Decisions(Matches.none(len(texts)), np.zeros(len(texts), bool), sets.sizes)
        filled = np.flatnonzero(sets.sizes)
        for start in range(0, len(filled), BATCH):
            rows = filled[start : start + BATCH]
            matches, stays = self._decide(sets.take(rows), asked[rows])
            decisions.matches.put(rows, matches.numbers, matches.shared, matches.union)
            decisions.stays[rows] = stays
        return decisions

    def _decide(self, sets: WordSets, may_stay: Mask) -> tuple[Matches, Mask]:
        batch = _Batch(self.index, sets, may_stay)
        batch.settle(0, len(sets))
        numbers = len(self.index) + np.cumsum(batch.stays) - 1
        for row, earlier in batch.earlier_in_batch.items():
            batch.found.numbers[row] = numbers[earlier]
        self.index.add(batch.sets.take(np.flatnonzero(batch.stays)))
        return batch.found, batch.stays


class _Batch:
    """Sets that are compared with each other, in order.

    Attributes:
        sets: the sets, prepared.
        found: the most similar earlier set of each; the number is not valid where the set has one in the batch.
        stays: which of them stay, as far as is decided.
        earlier_in_batch: for sets whose most similar earlier one is in the batch, where it is.
    """

    def __init__(self, index: NearDuplicateIndex, sets: WordSets, may_stay: Mask) -> None:
        self.sets = index.prepare(sets)
        self.found = Matches.none(len(sets))
        index.find(self.sets, np.arange(len(sets)), self.found)
        self.stays = may_stay & (self.found.numbers < 0)
        self.earlier_in_batch: dict[int, int] = {}
        self._index, self._prefixes = index, self.sets.prefixes
        self._bytes = sets.split()
        self._frozen: dict[int, frozenset[int]] = {}

    def settle(self, start: int, stop: int) -> None:
        """Decides which sets of a range stay, comparing them with each other.

        Where they have very much in common, the second half is compared only with what stays of the first half.
        """
        rivals = self._rivals(start, stop)
        if not self._compare(start, stop, rivals):
            middle = (start + stop) // 2
            self.settle(start, middle)
            self._compare_all(middle, stop, rivals[self.stays[rivals] & (rivals < middle)])
            self.settle(middle, stop)

    def _rivals(self, start: int, stop: int) -> Ints:
        """The sets that may stay, only the first of equal ones: whatever drops the first drops the others too."""
        first: dict[tuple[bytes, str], int] = {}
        for row in (start + np.flatnonzero(self.stays[start:stop])).tolist():
            first.setdefault(self._bytes[row], row)
        return np.array(list(first.values()), np.int64)

    def _compare_all(self, start: int, stop: int, rivals: Ints) -> None:
        if not self._compare(start, stop, rivals):
            self._compare_all(start, (start + stop) // 2, rivals)
            self._compare_all((start + stop) // 2, stop, rivals)

    def _compare(self, start: int, stop: int, rivals: Ints) -> bool:
        """Compares a range of sets with earlier ones among the rivals; False when that is too much at once."""
        if not len(rivals):
            return True
        among = np.zeros(len(self._bytes), bool)
        among[rivals] = True
        mine = self._prefixes.take(slice(*np.searchsorted(self._prefixes.rows, [start, stop]).tolist()))
        theirs = self._prefixes.take(np.flatnonzero(among[self._prefixes.rows]))
        hits = self._index.new_postings(theirs).look_up(mine)
        if hits.total > MOST and stop - start > 1:
            return False
        rows, others = self._index.may_be_similar(hits, self.sets.folded, self.sets.folded)
        earlier = others < rows
        for row, other in zip(rows[earlier].tolist(), others[earlier].tolist(), strict=True):
            if self.stays[other]:  # already decided, since pairs are ordered by the later one
                self._meet(row, other)
        return True

    def _meet(self, row: int, other: int) -> None:
        mine, theirs = self._words(row), self._words(other)
        shared = len(mine & theirs)
        union = len(mine) + len(theirs) - shared
        if self._index.similar(shared, union) and self._symbols_alike(row, other):
            self.stays[row] = False
            if self.found.improves(row, shared, union):
                self.found.put(row, 0, shared, union)
                self.earlier_in_batch[row] = other

    def _symbols_alike(self, row: int, other: int) -> bool:
        return self._index.symbols_similar(self._bytes[row][1], self._bytes[other][1])

    def _words(self, row: int) -> frozenset[int]:
        if row not in self._frozen:
            self._frozen[row] = frozenset(np.frombuffer(self._bytes[row][0], np.int64).tolist())
        return self._frozen[row]
