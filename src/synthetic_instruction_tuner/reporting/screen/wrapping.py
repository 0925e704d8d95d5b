"""Where a line of text may break: between words, after a separator in a long name, and never inside a number.

Widths are in cells of a terminal: an East Asian character takes two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from rich.cells import cell_len

from synthetic_instruction_tuner import escaping

_DIGITS = r"\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?%?"
NUMBER = re.compile(rf"(?:(?<![\w.)\]])[-+])?{_DIGITS}(?:\s?±\s?{_DIGITS})?(?:[*-](?!\w))?")
_WORD = re.compile(r"'sit [^']*'\S*|\S+")
SEPARATORS = "-_/.:,@="
ELLIPSIS = "…"


def visible(text: str) -> str:
    """Returns the text in one line: white space as spaces, and hidden characters as escapes."""
    return escaping.visible("".join(" " if c.isspace() else c for c in text))


def wrap(text: str, width: int, whole_words: bool = False) -> list[str]:
    """Returns the text in lines of at most `width` cells; only a number, or a whole word, may be longer."""
    lines, line = list[str](), ""
    for word in _words(text, width):
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        *whole, line = [word] if whole_words or cell_len(word) <= width else _broken(word, width)
        lines += whole
    return [*lines, line]


def longest_number(text: str) -> int:
    """Returns the width of the longest number in a text, 0 where there is none."""
    return max((cell_len(found) for found in NUMBER.findall(text)), default=0)


def longest_piece(text: str) -> int:
    """Returns the width that lets a text break between words and after separators only."""
    return max((cell_len(piece) for word in text.split() for piece in _pieces(word)), default=0)


def shorten(name: str, width: int) -> str:
    """Returns a name in at most `width` cells; what is left out is in the middle, where names differ least."""
    if cell_len(name) <= width:
        return name
    if width < 3:
        return ELLIPSIS if width > 0 else ""
    head, tail = "", ""
    front, back = iter(name), iter(reversed(name))
    while True:
        grown = head + next(front)
        if cell_len(grown + tail) > width - 1:
            return f"{head}{ELLIPSIS}{tail}"
        head = grown
        grown = next(back) + tail
        if cell_len(head + grown) > width - 1:
            return f"{head}{ELLIPSIS}{tail}"
        tail = grown


def _words(text: str, width: int) -> Iterator[str]:
    """Yields what a line does not break: words, and commands of `sit` in quotes, which one copies, where they fit."""
    for found in _WORD.findall(text):
        yield from [found] if cell_len(found) <= width else found.split()


def _broken(word: str, width: int) -> list[str]:
    """A word that is longer than a line: broken after separators, and where that is not enough, anywhere."""
    pieces = [part for piece in _pieces(word) for part in (_atoms(piece) if cell_len(piece) > width else [piece])]
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def _pieces(word: str) -> list[str]:
    inside = _inside_numbers(word)
    cuts = [i for i in range(1, len(word)) if word[i - 1] in SEPARATORS and i not in inside]
    return [word[start:end] for start, end in pairwise([0, *cuts, len(word)])]


def _atoms(piece: str) -> Iterator[str]:
    """Yields what cannot be broken: a number, or a character with the marks on it."""
    inside, start = _inside_numbers(piece), 0
    for i in range(1, len(piece)):
        if i not in inside and cell_len(piece[i]):
            yield piece[start:i]
            start = i
    yield piece[start:]


def _inside_numbers(text: str) -> set[int]:
    """The places between two characters of a number."""
    return {i for found in NUMBER.finditer(text) for i in range(found.start() + 1, found.end())}
