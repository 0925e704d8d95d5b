"""The output of a notebook's cell as a screen: one output, which is drawn again in place while the cell works.

A kernel is no terminal. Lines that replace each other would pile up there, and what is written to standard error looks
like a fault.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any, Protocol

from synthetic_instruction_tuner.reporting.screen.table import Table
from synthetic_instruction_tuner.reporting.screen.wrapping import visible
from synthetic_instruction_tuner.web_addresses import without_secrets

EVERY = 0.5  # seconds between drawings of a task's progress
WIDTH = 110  # cells of a table's line
PRE = "margin: 0; padding: 0; white-space: pre-wrap; word-break: normal; font-family: monospace; line-height: 1.35"

Bundle = dict[str, str]
"""An output by its media types."""


class Shown(Protocol):
    """An output that is on the screen."""

    def update(self, obj: Bundle, **options: Any) -> None:
        """Shows something else in its place."""


Show = Callable[[Bundle], Shown]
"""Shows an output below the cell that is running."""


class NotebookCell:
    """What a run says below one cell: lines that stay, and a task's line and bar below them.

    Args:
        show: puts the first output on the screen.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._shown: Shown | None = None
        self._lines: list[tuple[str, str]] = []
        self._task: tuple[str, float | None] | None = None
        self._drawn_at = 0.0

    def say(self, text: str, style: str | None = None) -> None:
        """Adds lines.

        Args:
            text: the lines.
            style: ``bold``, or None.
        """
        self._lines += [(visible(line).rstrip(), style or "") for line in without_secrets(text).split("\n")]
        self._draw()

    def table(self, table: Table) -> None:
        """Adds a table."""
        self._lines += table.lines(WIDTH)
        self._draw()

    def work(self, line: Callable[[], str], share: float | None) -> None:
        """Shows how far a task is, unless that was done a moment ago.

        Args:
            line: returns it in words.
            share: of the task that is done, from 0 to 1; None where it is unknown.
        """
        if time.monotonic() - self._drawn_at >= EVERY:
            self._task = (visible(line()), share)
            self._draw()

    def rest(self) -> None:
        """Takes the task's line away."""
        if self._task is not None:
            self._task = None
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        bundle = {"text/plain": self._plain(), "text/html": self._html()}
        if self._shown is None:
            self._shown = self._show(bundle)
        else:
            self._shown.update(bundle, raw=True)

    def _plain(self) -> str:
        task = [f"  {self._task[0]}"] if self._task else []
        return "\n".join([*(line for line, _ in self._lines), *task])

    def _html(self) -> str:
        lines = (f"<b>{escape(line)}</b>" if "bold" in style else escape(line) for line, style in self._lines)
        html = f'<pre style="{PRE}">' + "\n".join(lines) + "</pre>"
        if self._task:
            line, share = self._task
            value = "" if share is None else f' value="{min(max(share, 0.0), 1.0):.3f}"'
            html += f'<pre style="{PRE}">  <progress max="1"{value}></progress> {escape(line)}</pre>'
        return html


def notebook_cell() -> NotebookCell | None:
    """Returns the cell that is running; None where this process is no notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return NotebookCell(_show) if getattr(shell, "kernel", None) is not None else None


def _show(bundle: Bundle) -> Shown:
    from IPython.display import display

    shown: Shown = display(bundle, raw=True, display_id=True)
    return shown
