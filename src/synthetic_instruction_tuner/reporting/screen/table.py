"""Tables of text that fit the screen: names and texts wrap, numbers are whole, and what is too wide becomes blocks.

In order, as the screen narrows: names and texts take more lines; a long text in the last column moves below its row;
the columns are dealt out to several blocks that each begin with the names; and at last every row is a list of its
cells. Nothing is ever left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from synthetic_instruction_tuner.escaping import markdown
from synthetic_instruction_tuner.reporting.screen.wrapping import longest_number, longest_piece, visible, wrap
from synthetic_instruction_tuner.web_addresses import without_secrets

GAP = 2  # cells between columns
INDENT = 2
NAME, TEXT = 14, 26  # cells below which a name, or a text, is not made narrower
TIGHT = 8  # the same for both where nothing else helps

Kind = Literal["name", "whole", "text"]
Line = tuple[str, str]
"""A line and its style."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        heading: its heading.
        kind: a ``whole`` cell is never wrapped; a ``name`` keeps more of its width than a ``text``.
        key: whether it names the row, so that every block repeats it.
        right: whether it is aligned right.
    """

    heading: str
    kind: Kind = "text"
    key: bool = False
    right: bool = False


class Table:
    """Rows of cells under headings.

    Args:
        columns: the columns, keys first.
        headings: whether the headings are shown.
    """

    def __init__(self, *columns: Column, headings: bool = True) -> None:
        self.columns, self.headings = columns, headings
        self._rows: list[tuple[list[str], str]] = []

    def add(self, *cells: str, style: str = "") -> None:
        """Adds a row; its style is that of `rich`."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._rows.append(([visible(without_secrets(cell)).rstrip() for cell in cells], style))

    def lines(self, width: int | None) -> list[Line]:
        """Returns the table for a screen of this width; None: every row is one line."""
        every = list(range(len(self.columns)))
        if width is None:
            return self._block(every, [self._natural(i) for i in every])
        for tight in (False, True):
            least = [self._least(i, tight) for i in every]
            blocks = self._dealt(least, width)
            if len(blocks) == 1:
                return self._block(every, self._fitted(every, least, width))
            *body, last = every
            if self._is_long_text(last) and _needed(body, least) <= width:
                return self._block(body, self._fitted(body, least, width), below=last, room=width)
            if blocks:
                parts = [self._block(block, self._fitted(block, least, width)) for block in blocks]
                return [line for part in parts for line in ([("", "")] if part is not parts[0] else []) + part]
        return self._stacked(width)

    def markdown(self) -> str:
        """Returns the table in Markdown."""
        marks = ["---:" if column.right else "---" for column in self.columns]
        rows = [[column.heading for column in self.columns], marks, *(cells for cells, _ in self._rows)]
        marked = {id(marks)}
        lines = ["| " + " | ".join(row if id(row) in marked else map(markdown, row)) + " |" for row in rows]
        return "\n".join(lines) + "\n"

    def _cells(self, i: int) -> Iterator[str]:
        if self.headings:
            yield self.columns[i].heading
        for cells, _ in self._rows:
            yield cells[i]

    def _natural(self, i: int) -> int:
        return max(map(cell_len, self._cells(i)), default=0)

    def _least(self, i: int, tight: bool) -> int:
        """The cells that a column needs."""
        column, cells = self.columns[i], [row[i] for row, _ in self._rows]
        if column.kind == "whole":
            heading = min(longest_piece(column.heading), NAME) if self.headings else 0
            return max([heading, *map(cell_len, cells)], default=0)
        numbers = max(map(longest_number, self._cells(i)), default=0)
        return max(numbers, min(self._natural(i), TIGHT if tight else NAME if column.kind == "name" else TEXT))

    def _is_long_text(self, i: int) -> bool:
        return self.columns[i].kind == "text" and not self.columns[i].key

    def _dealt(self, least: Sequence[int], width: int) -> list[list[int]]:
        """The columns in as few blocks as hold them; none where a column does not even fit beside the names."""
        keys = [i for i, column in enumerate(self.columns) if column.key]
        blocks: list[list[int]] = [keys] if _needed(keys, least) <= width else []
        for i, column in enumerate(self.columns):
            if column.key:
                continue
            if blocks and _needed([*blocks[-1], i], least) <= width:
                blocks[-1] = [*blocks[-1], i]
            elif _needed([*keys, i], least) <= width:
                blocks.append([*keys, i])
            else:
                return []
        return blocks

    def _fitted(self, block: Sequence[int], least: Sequence[int], width: int) -> list[int]:
        """The columns' widths: the widest give way first."""
        widths = [max(self._natural(i), least[i]) for i in block]
        for _ in range(_needed(range(len(block)), widths) - width):
            narrowable = [place for place, i in enumerate(block) if widths[place] > least[i]]
            widths[max(narrowable, key=widths.__getitem__)] -= 1
        return widths

    def _block(
        self, block: Sequence[int], widths: Sequence[int], below: int | None = None, room: int = 0
    ) -> list[Line]:
        columns = [self.columns[i] for i in block]
        lines = list(_row([c.heading for c in columns], columns, widths, "")) if self.headings else []
        for cells, style in self._rows:
            lines += _row([cells[i] for i in block], columns, widths, style)
            if below is not None and cells[below]:
                lines += [(" " * INDENT + line, style) for line in wrap(cells[below], room - INDENT)]
        return lines

    def _stacked(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for cells, style in self._rows:
            for column, cell in zip(self.columns, cells, strict=True):
                if not cell:
                    continue
                indent = 0 if column.key else min(INDENT, width - 1)
                label = f"{column.heading}: " if self.headings and not column.key else ""
                lines += [(" " * indent + line, style) for line in wrap(label + cell, width - indent)]
        return lines


def _needed(block: Sequence[int], widths: Sequence[int]) -> int:
    """The cells that columns of these widths take."""
    return sum(widths[i] for i in block) + GAP * (len(block) - 1)


def _row(cells: Iterable[str], columns: Sequence[Column], widths: Sequence[int], style: str) -> Iterator[Line]:
    """Yields the lines of a row."""
    room = zip(cells, widths, strict=True)
    wrapped = [wrap(cell, width) if cell_len(cell) > width else [cell] for cell, width in room]
    for number in range(max(map(len, wrapped), default=0)):
        parts = []
        for lines, column, width in zip(wrapped, columns, widths, strict=True):
            text = lines[number] if number < len(lines) else ""
            space = " " * (width - cell_len(text))
            parts.append(space + text if column.right else text + space)
        yield (" " * GAP).join(parts).rstrip(), style
