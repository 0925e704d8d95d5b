"""Tools for long arrays of whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
AT_ONCE = 1 << 18  # elements made at once where a computation is done piece by piece


class Growing:
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


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Returns start, start + 1, ... for every start, `counts` of them each, as one array."""
    ends = np.cumsum(counts)
    places: Ints = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return places


def pieces(counts: Ints, most: int = AT_ONCE) -> Iterator[slice]:
    """Yields slices whose counts sum up to `most` at most, or that hold a single larger one."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + most, side="right")))
        yield slice(start, stop)
        start = stop


def lists(*arrays: Ints) -> list[list[int]]:
    """Returns the arrays as lists, over which loops are faster."""
    return [array.tolist() for array in arrays]
