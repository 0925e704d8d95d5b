"""The diversity rule: no instruction nearly equal to that of an earlier kept record, found exactly.

Two instructions are as similar as the Jaccard index of their word sets, |x & y| / |x | y|. Only kept records are
indexed and the first of two similar ones wins, so it can go on record by record. Nothing is approximate: the threshold
is a fraction and all comparisons are on integers.

The index is the prefix filter of Chaudhuri, Ganti and Kaushik (ICDE 2006, "A primitive operator for similarity joins")
as used by All-Pairs (Bayardo, Ma and Srikant, WWW 2007), with the length and position bounds of PPJoin (Xiao et al.,
WWW 2008): sort every set's words by one frozen order; two sets with J >= t share a word among the first
|x| - ceil(t|x|) + 1 of each. Any order is exact; one that puts rare words first is fast, so the order is taken anew
from the words' frequencies, and the index built anew, whenever it has grown fourfold.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from ..records import Record
from .verdict import Verdict

WORD = re.compile(r"\w+")
Postings = dict[tuple[int, int], list[int]]  # a set's size and the word's place in it -> the sets, by number


class Diversity:
    """No instruction with a word-set similarity of `threshold` or more to an earlier kept one."""

    name = "diversity"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._index = SimilarityIndex(exact_fraction(threshold))
        self._ids: list[str] = []
        self._judged: tuple[str, list[int]] = ("", [])

    def judge(self, record: Record) -> Verdict:
        """Measures the similarity to the most similar kept record; None where none reaches the threshold.

        Instructions without a word (symbols, emoji only) are not compared.
        """
        words = self._index.numbers(record.instruction)
        self._judged = (record.id, words)
        found = self._index.most_similar(words)
        if found is None:
            return Verdict(self.name, True, None, self.threshold)
        number, shared, union = found
        partner, similarity = self._ids[number], round(shared / union, 6)
        reason = f"the instruction shares {shared} of {union} words with '{partner}' (similarity {similarity:.3f})"
        return Verdict(self.name, False, similarity, self.threshold, reason, partner)

    def keep(self) -> None:
        """Takes in the record judged last, because it is kept; later ones are compared to it."""
        record_id, words = self._judged
        if words:
            self._index.add(words)
            self._ids.append(record_id)


class SimilarityIndex:
    """Word sets, and which of them is similar enough to a given one."""

    def __init__(self, threshold: Fraction) -> None:
        """Takes the least Jaccard index, above 0 and at most 1, that counts as similar."""
        self._num, self._den = threshold.numerator, threshold.denominator
        self._words: dict[str, int] = {}
        self._sets: list[frozenset[int]] = []
        self._equal: dict[frozenset[int], int] = {}
        self._postings: dict[int, Postings] = {}
        self._next_order = 256

    def numbers(self, text: str) -> list[int]:
        """Returns the text's distinct words as numbers, rare ones (high numbers) first; good until the next `add`.

        A word never seen before is taken for rarer than all others. Unlike a set's order, the order of first sight is
        the same in every process.
        """
        words = self._words
        found = [words.setdefault(w, len(words)) for w in dict.fromkeys(WORD.findall(text.lower()))]
        found.sort(reverse=True)
        return found

    def add(self, words: list[int]) -> None:
        """Takes in a set, given as `numbers` returns it; it must not be empty."""
        self._insert(words)
        if len(self._sets) == self._next_order:
            self._next_order *= 4
            self._order_anew()

    def most_similar(self, words: list[int]) -> tuple[int, int, int] | None:
        """Returns the most similar set at or above the threshold, the earliest of equally similar ones.

        Returns:
            Its number in order of `add`, the words shared and the words in both together; or None.
        """
        if not words:
            return None
        whole, size = frozenset(words), len(words)
        if whole in self._equal:
            return self._equal[whole], size, size
        best: tuple[int, int, int] | None = None
        for number in sorted(self._candidates(words)):
            other = self._sets[number]
            shared = len(whole & other)
            union = size + len(other) - shared
            if shared * self._den < self._num * union:
                continue
            if best is None or shared * best[2] > best[1] * union:
                best = (number, shared, union)
        return best

    def _insert(self, words: list[int]) -> None:
        size, number, whole = len(words), len(self._sets), frozenset(words)
        self._sets.append(whole)
        self._equal.setdefault(whole, number)
        for place in range(size - self._shortest(size) + 1):
            self._postings.setdefault(words[place], {}).setdefault((size, place), []).append(number)

    def _order_anew(self) -> None:
        """Numbers all words by falling frequency and builds the index on the new numbers."""
        frequency = Counter(word for whole in self._sets for word in whole)
        order = sorted(self._words.values(), key=lambda word: (-frequency[word], word))
        new = {old: place for place, old in enumerate(order)}
        self._words = {text: new[old] for text, old in self._words.items()}
        sets, self._sets, self._equal, self._postings = self._sets, [], {}, {}
        for whole in sets:
            self._insert(sorted((new[word] for word in whole), reverse=True))

    def _candidates(self, words: list[int]) -> set[int]:
        """Every set that may be similar enough.

        Both bounds hold for all sets of one size with the word in one place, so they are tried once for all of them.
        The position bound counts a shared word and the words after it; it is right for the first shared word, and for
        later ones it lets through only sets that the first let through, as places grow on both sides.
        """
        size, num, den = len(words), self._num, self._den
        shortest, longest = self._shortest(size), den * size // num
        found: set[int] = set()
        for place in range(size - shortest + 1):
            left = size - place - 1
            for (other, there), numbers in self._postings.get(words[place], {}).items():
                fits = shortest <= other <= longest
                if fits and (1 + min(left, other - there - 1)) * (num + den) >= num * (size + other):
                    found.update(numbers)
        return found

    def _shortest(self, size: int) -> int:
        """The least size of a set similar to one of `size` words."""
        return -(-self._num * size // self._den)


def exact_fraction(value: float) -> Fraction:
    """Returns what the number says in decimals: 4/5 for 0.8, not the binary number next to it."""
    return Fraction(repr(value))
