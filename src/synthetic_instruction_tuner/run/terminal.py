"""The terminal: rich's console, for which every text is text, in any encoding."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from synthetic_instruction_tuner.escaping import terminal


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


def echo(text: str) -> None:
    """Writes a text to standard output, escaped, and a line break."""
    print(terminal(text, getattr(sys.stdout, "encoding", None) or "utf-8"))


def echo_json(text: str) -> None:
    """Writes JSON to standard output, in ASCII: it means the same in every encoding."""
    print(re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text.rstrip("\n")))
