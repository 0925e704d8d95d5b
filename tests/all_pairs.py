"""Near duplicates found by comparing all pairs: what the index must agree with. Also texts to find some in."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy import sparse

from synthetic_instruction_tuner.filtering.near_duplicates.symbols import as_ascii, symbols_in, without_marking
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import PICTURES
from synthetic_instruction_tuner.words import MARKS, UNSPACED_RUN, normal_form

Decision = tuple[int, Fraction] | None


def word_set(text: str) -> frozenset[str]:
    """Words and pictures of a text; none where there is no word."""
    text = plain(text)
    words = {word for word in re.findall(rf"\w[\w{MARKS}]*", text) if not unspaced(word)}
    for run in UNSPACED_RUN.findall(text):
        letters = re.findall(rf"\w[{MARKS}]*", run)
        words |= {*letters, *(a + b for a, b in pairwise(letters))}
    for mixed in filter(unspaced, re.findall(rf"\w[\w{MARKS}]*", text)):
        words |= set(re.findall(rf"\w[\w{MARKS}]*", UNSPACED_RUN.sub(" ", mixed)))
    return frozenset(words | set(re.findall(f"[{PICTURES}]", text))) if words else frozenset()


def plain(text: str) -> str:
    """A text in normal form, without emphasis by underscores, and with blanks of one length."""
    return re.sub(
        "_{3,}",
        "___",
        re.sub(r"(?<!\w)_([^\W_](?:[^_\n]*[^\W_])?)_(?!\w)", r"\1", normal_form(text.replace("\0", " "))),
    )


def unspaced(word: str) -> bool:
    return UNSPACED_RUN.search(word) is not None


def symbol_set(text: str) -> frozenset[str]:
    return symbols_in(without_marking(as_ascii(normal_form(text.replace("\0", " ")))).strip())


def jaccard(first: frozenset[str], second: frozenset[str]) -> Fraction:
    return Fraction(len(first & second), len(first | second)) if first or second else Fraction(1)


def brute(texts: Sequence[str], threshold: Fraction, may_stay: Sequence[bool] | None = None) -> list[Decision]:
    """For each text the most similar earlier one that stayed, if at or above the threshold; the earliest of equals.

    Of the symbols alone, only half as many may differ.
    """
    half, (num, den) = (1 + threshold) / 2, threshold.as_integer_ratio()
    kept: list[tuple[int, frozenset[str], frozenset[str]]] = []
    decisions: list[Decision] = []
    for i, text in enumerate(texts):
        words, symbols = word_set(text), symbol_set(text)
        near = ((j, k, s) for j, k, s in kept if len(words & k) * den >= num * len(words | k))
        best = max(((jaccard(words, k), -j) for j, k, s in near if jaccard(symbols, s) >= half), default=None)
        decisions.append((-best[1], best[0]) if best else None)
        if words and not best and (may_stay is None or may_stay[i]):
            kept.append((i, words, symbols))
    return decisions


def counted(texts: Sequence[str], num: int, den: int) -> list[Decision]:
    """As `brute`, for more texts: sparse matrix products count the shared words and symbols of all pairs."""
    words, sizes = _matrix([word_set(text) for text in texts])
    symbols, symbol_sizes = _matrix([symbol_set(text) for text in texts])
    kept, decisions = np.zeros(len(texts), bool), []
    for start in range(0, len(texts), 500):
        rows = slice(start, start + 500)
        block, marks = (m[rows] @ m[: start + 500].T for m in (words, symbols))
        for i, (shared, same) in enumerate(zip(block.toarray(), marks.toarray(), strict=True), start):
            union = np.maximum(sizes[i] + sizes[: len(shared)] - shared, 1)
            similar = kept[: len(shared)] & (shared * den >= num * union) & (sizes[i] > 0)
            similar &= 2 * same * den >= (num + den) * (symbol_sizes[i] + symbol_sizes[: len(shared)] - same)
            partners = np.flatnonzero(similar)
            best = max(((Fraction(int(shared[j]), int(union[j])), -int(j)) for j in partners), default=None)
            decisions.append((-best[1], best[0]) if best else None)
            kept[i] = best is None and sizes[i] > 0
    return decisions


def _matrix(sets: Sequence[frozenset[str]]) -> tuple[sparse.csr_matrix, np.ndarray]:
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(w, len(numbers)) for w in found] for found in sets]
    sizes = np.array([len(row) for row in rows])
    place = np.repeat(np.arange(len(rows)), sizes)
    words = np.array([w for row in rows for w in row], dtype=np.int64)
    return sparse.csr_matrix((np.ones(len(words), np.int32), (place, words)), (len(rows), max(len(numbers), 1))), sizes


def near_duplicates(rng: random.Random, count: int, vocabulary: int, longest: int = 20) -> list[str]:
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and rng.random() < 0.6:
            words = list(rng.choice(texts))
            for _ in range(rng.randint(0, 4)):
                if words and rng.random() < 0.5:
                    words.pop(rng.randrange(len(words)))
                else:
                    words.append(f"w{rng.randrange(vocabulary)}")
        else:
            words = [f"w{int(vocabulary * rng.random() ** 2)}" for _ in range(rng.randint(0, longest))]
        texts.append(words)
    return [" ".join(words) for words in texts]
