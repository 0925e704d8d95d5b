"""The screen that output goes to: every text is shown as text, in any encoding and at any width, without keys.

Where the output goes into a pipe or a file, the width has no limit. A valid `COLUMNS` counts, on a terminal and in a
pipe; anything else in it is as if it were not set.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.cells import cell_len
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from synthetic_instruction_tuner.escaping import terminal
from synthetic_instruction_tuner.reporting.screen.table import Table
from synthetic_instruction_tuner.reporting.screen.wrapping import visible, wrap
from synthetic_instruction_tuner.web_addresses import without_secrets


class Console(rich.console.Console):
    """A console without markup, which shows control sequences and what its encoding lacks instead of writing them.

    Styles are given as styles, not in texts.
    """

    def __init__(self, **options: Any) -> None:
        """Opens it with rich's options."""
        super().__init__(**{"markup": False, "emoji": False, "highlight": False} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields the segments, with their texts escaped; what rich itself controls is in segments of its own."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else terminal(segment.text, self.encoding)
            yield segment if text == segment.text else Segment(text, segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns the text as rich's, escaped before its width is measured."""
        return super().render_str(terminal(text, self.encoding), **options)


class Screen:
    """Standard output, or standard error, for people.

    Args:
        stderr: the screen is standard error.
        wide: lines are as long as they need to be.
        console: another screen, for tests.
    """

    def __init__(
        self, *, stderr: bool = False, wide: bool = False, console: rich.console.Console | None = None
    ) -> None:
        self.console = console or new_console(stderr=stderr)
        self.wide = wide

    @property
    def width(self) -> int | None:
        """Cells in a line; None without a limit."""
        return None if self.wide else line_width(self.console)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Prints sentences, broken between words; the lines of a paragraph keep its indentation."""
        for line in without_secrets(text).split("\n"):
            for part in paragraph(line, self.width):
                self.console.print(Text(part, style or ""), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Prints a table."""
        for line, style in table.lines(self.width):
            self.console.print(Text(line, style), soft_wrap=True)


def new_console(*, stderr: bool = False) -> Console:
    """Returns a console that prints text as it is, and ignores a `COLUMNS` that is not a width."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS" or _columns()}
    return Console(stderr=stderr, force_jupyter=False, _environ=environment)


def line_width(console: rich.console.Console) -> int | None:
    """Returns the cells in a line of this console; None where it is not a terminal and no width was asked for."""
    return console.width if console.is_terminal or _columns() else None


def paragraph(text: str, width: int | None) -> list[str]:
    """Returns a line of text in lines of this width, all indented like the first.

    A word that is too long for a line, such as a path, stays whole: it can be copied.
    """
    body = text.lstrip(" ")
    indent = len(text) - len(body)
    if width is None or indent >= width or cell_len(visible(text)) <= width:
        return [visible(text).rstrip()]
    return [" " * indent + line for line in wrap(visible(body), width - indent, whole_words=True)]


def echo(text: str) -> None:
    """Writes a text to standard output, escaped, and a line break."""
    print(terminal(without_secrets(text), getattr(sys.stdout, "encoding", None) or "utf-8"))


def echo_json(text: str) -> None:
    """Writes JSON to standard output, in ASCII: it means the same in every encoding."""
    print(re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text.rstrip("\n")))


def _columns() -> int:
    """The width that the environment asks for; 0 where it asks for none."""
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
