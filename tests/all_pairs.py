"""Near duplicates found by comparing all pairs: what the index must agree with. Also texts to find some in."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy import sparse

Decision = tuple[int, Fraction] | None


def word_set(text: str) -> frozenset[str]:
    composed = unicodedata.normalize("NFC", text.lower())
    parts = re.sub(r"\W", lambda found: found[0] if is_mark(found[0]) else " ", composed).split()
    return frozenset(word for part in parts if (word := re.sub(r"^\W+", "", part)))


def is_mark(character: str) -> bool:
    """Whether it belongs to the letter before it; marks above U+10000 and variation selectors do not."""
    rare = character > "\uffff" or "\ufe00" <= character <= "\ufe0f"
    return unicodedata.category(character)[0] == "M" and not rare


def brute(texts: Sequence[str], threshold: Fraction, may_stay: Sequence[bool] | None = None) -> list[Decision]:
    """For each text the most similar earlier one that stayed, if at or above the threshold; the earliest of equals."""
    kept: list[tuple[int, frozenset[str]]] = []
    decisions: list[Decision] = []
    for i, text in enumerate(texts):
        words = word_set(text)
        similar = [(Fraction(len(words & k), len(words | k)), -j) for j, k in kept] if words else []
        best = max((s for s in similar if s[0] >= threshold), default=None)
        decisions.append((-best[1], best[0]) if best else None)
        if words and not best and (may_stay is None or may_stay[i]):
            kept.append((i, words))
    return decisions


def counted(texts: Sequence[str], num: int, den: int) -> list[Decision]:
    """As `brute`, for more texts: a sparse matrix product counts the shared words of all pairs."""
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(w, len(numbers)) for w in word_set(text)] for text in texts]
    sizes = np.array([len(row) for row in rows])
    place = np.repeat(np.arange(len(rows)), sizes)
    words = np.array([w for row in rows for w in row], dtype=np.int64)
    matrix = sparse.csr_matrix((np.ones(len(words), np.int32), (place, words)), (len(rows), len(numbers)))
    kept, decisions = np.zeros(len(rows), bool), []
    for start in range(0, len(rows), 500):
        block = (matrix[start : start + 500] @ matrix[: start + 500].T).toarray()
        for i, shared in enumerate(block, start):
            union = np.maximum(sizes[i] + sizes[: len(shared)] - shared, 1)
            partners = np.flatnonzero(kept[: len(shared)] & (shared * den >= num * union) & (sizes[i] > 0))
            best = max(((Fraction(int(shared[j]), int(union[j])), -int(j)) for j in partners), default=None)
            decisions.append((-best[1], best[0]) if best else None)
            kept[i] = best is None and sizes[i] > 0
    return decisions


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
