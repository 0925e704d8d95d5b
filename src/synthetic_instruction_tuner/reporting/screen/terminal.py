"""The screen that output goes to, and its width: none where the output goes into a pipe or a file.

A valid `COLUMNS` counts, on a terminal and in a pipe; anything else in it is as if it were not set.
"""

from __future__ import annotations

import os

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from synthetic_instruction_tuner.reporting.screen.table import Table
from synthetic_instruction_tuner.reporting.screen.wrapping import visible, wrap


class Screen:
    """Standard output, or standard error, for people.

    Args:
        stderr: the screen is standard error.
        wide: lines are as long as they need to be.
        console: another screen, for tests.
    """

    def __init__(self, *, stderr: bool = False, wide: bool = False, console: Console | None = None) -> None:
        self.console = console or new_console(stderr=stderr)
        self.wide = wide

    @property
    def width(self) -> int | None:
        """Cells in a line; None without a limit."""
        return None if self.wide else line_width(self.console)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Prints sentences, broken between words; the lines of a paragraph keep its indentation."""
        for line in text.split("\n"):
            for part in paragraph(line, self.width):
                self.console.print(Text(part, style or ""), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Prints a table."""
        for line, style in table.lines(self.width):
            self.console.print(Text(line, style), soft_wrap=True)


def new_console(*, stderr: bool = False) -> Console:
    """Returns a console that prints text as it is, and ignores a `COLUMNS` that is not a width."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS" or _columns()}
    return Console(stderr=stderr, highlight=False, emoji=False, markup=False, _environ=environment)


def line_width(console: Console) -> int | None:
    """Returns the cells in a line of this console; None where it is not a terminal and no width was asked for."""
    return console.width if console.is_terminal or _columns() else None


def paragraph(text: str, width: int | None) -> list[str]:
    """Returns a line of text in lines of this width, all indented like the first."""
    body = text.lstrip(" ")
    indent = len(text) - len(body)
    if width is None or indent >= width or cell_len(visible(text)) <= width:
        return [visible(text).rstrip()]
    return [" " * indent + line for line in wrap(visible(body), width - indent)]


def _columns() -> int:
    """The width that the environment asks for; 0 where it asks for none."""
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
