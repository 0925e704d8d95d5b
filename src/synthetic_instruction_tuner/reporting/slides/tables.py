"""How a table fits a slide: widths of its columns, heights of its rows, and the size of its letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.slides.fitting import MARK, SPACING, width, wrapped

SIZES = (18, 10)  # the largest and the smallest size of letters, in points
MARGIN = 7.0  # left and right of a cell's text
ABOVE = 2.0  # above and below it
LONGEST = 60  # characters of a cell
WORD = 24  # characters of a word that is not broken
NUMBER = re.compile(r"[-+−–]?[\d,.]*.*\d.*|–|")


class Laid(NamedTuple):
    """A table that fits.

    Attributes:
        rows: the cells, the heading first; what does not fit is counted in the last row.
        widths, heights: of columns and rows, in points.
        size: of the letters.
        margin: left and right of a cell's text.
        names: how many columns hold names; the others hold numbers and are set to the right.
    """

    rows: list[list[str]]
    widths: list[float]
    heights: list[float]
    size: int
    margin: float
    names: int


def lay_out(rows: Sequence[Sequence[str]], box: tuple[float, float]) -> Laid:
    """Returns the table at the largest size at which it fits the box; rows that never fit are counted, not shown."""
    cells = [[_short(cell) for cell in row] for row in rows]
    names = _names(cells)
    for size in range(SIZES[0], SIZES[1] - 1, -1):
        widths = _widths(cells, size, box[0])
        heights = [_height(row, widths, size, bold=k == 0) for k, row in enumerate(cells)]
        whole = size == SIZES[1] or all(w <= have for w, have in zip(_longest_words(cells, size), widths, strict=True))
        if whole and sum(heights) <= box[1]:
            return Laid(cells, widths, heights, size, MARGIN, names)
    more = ["", *[""] * (len(cells[0]) - 1)]
    while len(cells) > 1 and sum(heights) + heights[0] > box[1]:
        cells.pop()
        heights.pop()
    more[0] = say("{n} more in the report", n=len(rows) - len(cells))
    cells.append(more)
    widths = _widths(cells, size, box[0])
    heights = [_height(row, widths, size, bold=k == 0) for k, row in enumerate(cells)]
    return Laid(cells, widths, heights, size, MARGIN, names)


def _widths(cells: Sequence[Sequence[str]], size: int, room: float) -> list[float]:
    """Gives each column what its longest cell needs; where that is too much, the widest are cut to one level.

    None is cut below its longest word where there is room for these.
    """
    wanted = [
        max(width(row[j], size, bold=k == 0) for k, row in enumerate(cells)) + 2 * MARGIN + 2
        for j in range(len(cells[0]))
    ]
    if sum(wanted) <= room:
        return [one * room / sum(wanted) for one in wanted]
    least, level = _longest_words(cells, size), room
    if sum(least) > room:
        least = [0.0] * len(wanted)
    while sum(max(word, min(one, level)) for one, word in zip(wanted, least, strict=True)) > room:
        level *= 0.97
    return [max(word, min(one, level)) for one, word in zip(wanted, least, strict=True)]


def _longest_words(cells: Sequence[Sequence[str]], size: int) -> list[float]:
    """What each column needs so that no word in it is broken, but for those that are longer than any word is."""
    found = []
    for j in range(len(cells[0])):
        words = [(word, k == 0) for k, row in enumerate(cells) for word in row[j].split(" ") if len(word) <= WORD]
        found.append(max((width(word, size, bold) for word, bold in words), default=0.0) + 2 * MARGIN + 2)
    return found


def _height(row: Sequence[str], widths: Sequence[float], size: int, bold: bool) -> float:
    lines = max(wrapped(cell, size, wide - 2 * MARGIN, bold) for cell, wide in zip(row, widths, strict=True))
    return lines * SPACING * size + 2 * ABOVE


def _short(cell: str) -> str:
    return cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + MARK


def _names(cells: Sequence[Sequence[str]]) -> int:
    """How many columns from the left hold names: those in which some cell below the heading is no number."""
    columns = range(len(cells[0]))
    named = [any(not NUMBER.fullmatch(row[j]) for row in cells[1:]) for j in columns]
    return next((j for j in columns if not named[j]), len(cells[0]))
