"""How far each record is from its nearest neighbor: a column to sort or select by, not a rule.

The distance is 1 minus the Jaccard index of the word sets: 0 for equal sets, 1 where no word is shared. All pairs are
compared, so the time grows with the square of the records: about 0.4 s for 1,500 of them and 16 s for 20,000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from synthetic_instruction_tuner.filtering.near_duplicates.index import Matches
from synthetic_instruction_tuner.filtering.near_duplicates.rule import compared_text
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import Vocabulary, WordSets
from synthetic_instruction_tuner.records import Record

CELLS = 1 << 22  # pairs compared at once; bounds the memory


def neighbor_columns(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Returns for each record its distance from the nearest other one and that one's id, as columns."""
    sets = Vocabulary().sets([compared_text(record) for record in records])
    return nearest_columns(sets, nearest_sets(sets), [record.id for record in records])


def nearest_columns(sets: WordSets, neighbors: Matches, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the columns ``min_neighbor_distance`` and ``nearest_neighbor``; both None for a text without a word."""
    return [
        {
            "min_neighbor_distance": round(1 - shared / union, 6) if size else None,
            "nearest_neighbor": names[number] if number >= 0 else None,
        }
        for size, (number, shared, union) in zip(sets.sizes.tolist(), neighbors, strict=True)
    ]


def nearest_sets(sets: WordSets, progress: Callable[[int], None] | None = None) -> Matches:
    """Returns for each set the most similar other one, the earliest of equally similar ones.

    A set that shares no word with any other has no match.

    Args:
        sets: the sets.
        progress: called with the number of sets finished since the last call.
    """
    from scipy import sparse

    count, found = len(sets), Matches.none(len(sets))
    width = int(sets.words.max()) + 1 if len(sets.words) else 1
    matrix = sparse.csr_array((np.ones(len(sets.words), np.int32), (sets.rows, sets.words)), (count, width))
    other_way = matrix.T.tocsr()
    step = max(1, CELLS // max(count, 1))
    for start in range(0, count, step):
        shared = (matrix[start : start + step] @ other_way).toarray()
        here = np.arange(len(shared))
        shared[here, start + here] = 0
        union = np.maximum(sets.sizes[start : start + step, None] + sets.sizes[None, :] - shared, 1)
        number = np.argmax(shared / union, axis=1)  # the first of equal ones; double precision distinguishes all others
        both = shared[here, number]
        found.put(start + here, np.where(both > 0, number, -1), both, union[here, number])
        if progress:
            progress(len(here))
    return found
