"""How much room a text needs: widths from a font's own metrics, lines, and the size at which it fits a box.

Slides are set in Arial, for which LibreOffice takes Liberation Sans, of the same widths. What is measured is DejaVu
Sans, which comes with matplotlib and is wider than both: what fits here fits there. Wide letters count as one em.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

UNITS = 1000  # size at which letters are measured
SPACING = 1.25  # height of a line in sizes; Arial needs 1.15
MARK = "…"


class Fitted(NamedTuple):
    """Texts that fit a box, and the size in points at which they do."""

    texts: list[str]
    size: float


def width(text: str, size: float, bold: bool = False) -> float:
    """Returns the width of a text in points."""
    return sum(_advance(letter, bold) for letter in text) * size


def wrapped(text: str, size: float, room: float, bold: bool = False) -> int:
    """Returns how many lines a text takes in a box of this width in points; words longer than a line are broken."""
    lines, used = 1, 0.0
    for word in text.split(" "):
        needed = width(word, size, bold)
        gap = width(" ", size, bold) if used else 0.0
        if used + gap + needed <= room:
            used += gap + needed
            continue
        lines += bool(used)
        while needed > room:  # a name without spaces
            lines += 1
            needed -= room
        used = needed
    return lines


def height(texts: Sequence[str], size: float, room: float, bold: bool = False, after: float = 0.0) -> float:
    """Returns the height in points of paragraphs in a box of this width; `after` is the space after each, in sizes."""
    return sum(wrapped(text, size, room, bold) * SPACING * size + after * size for text in texts)


def fit(
    texts: Sequence[str],
    box: tuple[float, float],
    sizes: tuple[int, int],
    bold: bool = False,
    after: float = 0.0,
) -> Fitted:
    """Returns the paragraphs at the largest size at which they fit.

    At the smallest size, the longest paragraphs are cut where even that is too large.

    Args:
        texts: the paragraphs.
        box: its width and height in points.
        sizes: the largest and the smallest size in points.
        bold: whether they are set in bold.
        after: the space after each paragraph, in sizes.
    """
    room, limit = box
    for size in range(sizes[0], sizes[1] - 1, -1):
        if height(texts, size, room, bold, after) <= limit:
            return Fitted(list(texts), size)
    cut, least = list(texts), sizes[1]
    while height(cut, least, room, bold, after) > limit:
        longest = max(range(len(cut)), key=lambda i: len(cut[i]))
        if len(cut[longest]) < 8:
            del cut[-1]
            continue
        cut[longest] = cut[longest].rstrip(MARK)[: int(len(cut[longest]) * 0.85)].rstrip() + MARK
    return Fitted(cut, least)


@cache
def _advance(letter: str, bold: bool) -> float:
    """The width of a letter at size 1."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return float(_font(bold).getlength(letter)) / UNITS


@cache
def _font(bold: bool) -> FreeTypeFont:
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf", UNITS)
