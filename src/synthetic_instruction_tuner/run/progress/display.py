"""Progress display: a live line with count and time left on a terminal or in a notebook, now and then one elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.progress import Progress

from synthetic_instruction_tuner.reporting.formatting import duration, rate
from synthetic_instruction_tuner.reporting.screen.table import Table
from synthetic_instruction_tuner.reporting.screen.terminal import Console, Screen, new_console
from synthetic_instruction_tuner.run.progress.forecast import Forecast, Part, TaskForecast
from synthetic_instruction_tuner.run.progress.live_line import LiveLine
from synthetic_instruction_tuner.run.progress.notebook_cell import notebook_cell

LINE_EVERY, LINE_AT_MOST_EVERY = 10.0, 600.0  # seconds between lines where there is no terminal
LINES = 20  # that a long task prints, about
KERNEL = "JPY_PARENT_PID"  # set in a notebook's kernel and in what it starts
TOLD_EVERY = 2.0  # seconds between what is told of a task to others than the screen


class Advance(Protocol):
    """Notes that units of a task are done."""

    def __call__(self, n: int = 1, note: str | None = None) -> None:
        """Notes `n` units more, and what is to be said of them."""


@dataclass(frozen=True, slots=True)
class Working:
    """How far the task that is being done is.

    Attributes:
        stage: the stage that it belongs to.
        label: what is being done.
        n, of: units done, and units in all; `of` is None when unknown.
        unit: what they are, in the plural.
        per_second: units a second in this attempt; None before any are done.
        seconds_left: of the task; None when unknown.
        run_seconds_left: of the whole run.
    """

    stage: str
    label: str
    n: int
    of: int | None
    unit: str
    per_second: float | None
    seconds_left: float | None
    run_seconds_left: float

    def line(self) -> str:
        """Returns it in a line, as a run shows it."""
        of = f" of {self.of:,}" if self.of else ""
        pace = f", {rate(self.per_second)}" if self.per_second else ""
        left = "" if self.seconds_left is None else f", about {duration(max(self.seconds_left, 1.0))} left"
        whole = self.run_seconds_left
        run = f"; run: {duration(whole)} left" if whole > (self.seconds_left or 0.0) + 1 else ""
        return f"{self.label}: {self.n:,}{of} {self.unit}{pace}{left}{run}"


class Display:
    """Shows stages, tasks and notes on standard error, or below a notebook's cell; standard output is for results.

    Attributes:
        tell: is told how far a task is, now and then; of nothing when none is being done.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.tell: Callable[[Working | None], None] = lambda working: None
        self._stage, self._told = "", 0.0
        self._last_line: float | None = None
        self.console = console or new_console(stderr=True)
        self.forecast = Forecast()
        self._screen = Screen(console=self.console)
        self._live: Progress | None = None
        self._cell = None if quiet or console else notebook_cell()

    def __enter__(self) -> Display:
        # Neither a dumb terminal nor what `!sit` is given in a notebook can draw a line again: lines, as in a file.
        drawn_again = self.console.is_terminal and not self.console.is_dumb_terminal and KERNEL not in os.environ
        if drawn_again and not (self.quiet or self._cell):
            self._live = Progress(LiveLine(self.console), console=self.console, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None
        self.tell(None)

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line; on a terminal it is broken between words."""
        if self._cell:
            self._cell.say(text, style)
        elif not self.quiet:
            self._screen.say(text, style)

    def table(self, table: Table) -> None:
        """Prints a table."""
        if self._cell:
            self._cell.table(table)
        elif not self.quiet:
            self._screen.table(table)

    def plan(self, seconds: Mapping[str, float], parts: Mapping[str, Sequence[Part]] | None = None) -> None:
        """Sets the expected seconds of each remaining stage, and of its tasks."""
        self.forecast.plan(seconds, parts)

    def enter_stage(self, name: str, title: str) -> None:
        """Announces a stage, with the time that is left for the whole run."""
        self.forecast.enter(name, time.monotonic())
        self._stage, self._last_line = name, time.monotonic()
        left = self.remaining()
        self.say(f"▸ {title}" + (f"  (about {duration(left)} left in total)" if left >= 1 else ""), style="bold")

    def leave_stage(self, name: str) -> None:
        """Removes the stage from the overall estimate; what it took corrects the estimates of the others."""
        self.forecast.leave(name, time.monotonic())
        self.tell(None)

    def remaining(self) -> float:
        """Returns the seconds left in total."""
        return self.forecast.left(time.monotonic())

    @contextmanager
    def task(self, label: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
        """Shows a task; yields ``advance(n, note="")``.

        Args:
            label: what is being done.
            total: units in all; 0 when unknown.
            unit: what they are, in the plural.
            done: units that were done before.
        """
        forecast = self.forecast.begin_task(label, total, done, time.monotonic())
        show = self._live_task if self._live else self._cell_task if self._cell else self._line_task
        self._tell_of(label, unit, forecast)
        with show(label, unit, forecast) as shown:

            def advance(n: int = 1, note: str | None = None) -> None:
                now = time.monotonic()
                forecast.advance(n, now)
                shown(n, note)
                if now - self._told >= TOLD_EVERY:
                    self._tell_of(label, unit, forecast)

            yield advance

    def _tell_of(self, label: str, unit: str, forecast: TaskForecast) -> None:
        self._told = time.monotonic()
        self.tell(self._working(label, unit, forecast))

    def _working(self, label: str, unit: str, forecast: TaskForecast) -> Working:
        per_second, left, whole = forecast.rate(), forecast.left(time.monotonic()).seconds, self.remaining()
        return Working(self._stage, label, forecast.done, forecast.total or None, unit, per_second, left, whole)

    @contextmanager
    def _cell_task(self, label: str, unit: str, forecast: TaskForecast) -> Iterator[Advance]:
        assert self._cell
        cell, last_note = self._cell, ""

        def line() -> str:
            return self._working(label, unit, forecast).line() + (f"; {last_note}" if last_note else "")

        def advance(n: int = 1, note: str | None = None) -> None:
            nonlocal last_note
            last_note = last_note if note is None else note
            cell.work(line, forecast.done / forecast.total if forecast.total else None)

        try:
            yield advance
        finally:
            cell.rest()

    @contextmanager
    def _live_task(self, label: str, unit: str, forecast: TaskForecast) -> Iterator[Advance]:
        assert self._live
        live = self._live
        bar = live.add_task(
            label,
            total=forecast.total or None,
            completed=forecast.done,
            unit=unit,
            note="",
            left=lambda: forecast.left(time.monotonic()),
            run=self.remaining,
        )

        def advance(n: int = 1, note: str | None = None) -> None:
            live.update(bar, advance=n)
            if note is not None:
                live.update(bar, note=note)

        try:
            yield advance
        finally:
            live.remove_task(bar)

    @contextmanager
    def _line_task(self, label: str, unit: str, forecast: TaskForecast) -> Iterator[Advance]:
        start = time.monotonic()
        if self._last_line is None:
            self._last_line = start
        total = forecast.total

        def advance(n: int = 1, note: str | None = None) -> None:
            now = time.monotonic()
            left = forecast.left(now)
            every = min(max(LINE_EVERY, ((left.seconds or 0.0) + now - start) / LINES), LINE_AT_MOST_EVERY)
            if now - (self._last_line or start) < every or 0 < total <= forecast.done:
                return
            self._last_line = now
            of = f" of {total:,}" if total and unit != "%" else ""
            count = f"{forecast.done:,}{of} {unit}" + (f", {left.words()}" if total else "")
            whole = self.remaining()
            run = f"; run: {duration(whole)} left" if whole > (left.seconds or 0.0) + 1 else ""
            self.say(f"  {label}: {count}{run}" + (f"; {note}" if note else ""))

        yield advance
