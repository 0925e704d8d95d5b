"""Progress display: a live line with count and time left on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from rich.progress import Progress

from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.reporting.screen.table import Table
from synthetic_instruction_tuner.reporting.screen.terminal import Console, Screen, new_console
from synthetic_instruction_tuner.run.progress.forecast import Forecast, Part, TaskForecast
from synthetic_instruction_tuner.run.progress.live_line import LiveLine

LINE_EVERY, LINE_AT_MOST_EVERY = 10.0, 600.0  # seconds between lines where there is no terminal
LINES = 20  # that a long task prints, about


class Advance(Protocol):
    """Notes that units of a task are done."""

    def __call__(self, n: int = 1, note: str | None = None) -> None:
        """Notes `n` units more, and what is to be said of them."""


class Display:
    """Shows stages, tasks and notes on standard error; standard output stays for results."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.console = console or new_console(stderr=True)
        self.forecast = Forecast()
        self._screen = Screen(console=self.console)
        self._live: Progress | None = None

    def __enter__(self) -> Display:
        # A dumb terminal cannot draw a line again: it is given lines like a file.
        if not self.quiet and self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Progress(LiveLine(self.console), console=self.console, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line; on a terminal it is broken between words."""
        if not self.quiet:
            self._screen.say(text, style)

    def table(self, table: Table) -> None:
        """Prints a table."""
        if not self.quiet:
            self._screen.table(table)

    def plan(self, seconds: Mapping[str, float], parts: Mapping[str, Sequence[Part]] | None = None) -> None:
        """Sets the expected seconds of each remaining stage, and of its tasks."""
        self.forecast.plan(seconds, parts)

    def enter_stage(self, name: str, title: str) -> None:
        """Announces a stage, with the time that is left for the whole run."""
        self.forecast.enter(name, time.monotonic())
        left = self.remaining()
        self.say(f"▸ {title}" + (f"  (about {duration(left)} left in total)" if left >= 1 else ""), style="bold")

    def leave_stage(self, name: str) -> None:
        """Removes the stage from the overall estimate; what it took corrects the estimates of the others."""
        self.forecast.leave(name, time.monotonic())

    def remaining(self) -> float:
        """Returns the seconds left in total."""
        return self.forecast.left(time.monotonic())

    @contextmanager
    def task(self, label: str, total: int, unit: str, done: int = 0, steps: Sequence[str] = ()) -> Iterator[Advance]:
        """Shows a task; yields ``advance(n, note="")``.

        Args:
            label: what is being done.
            total: units in all; 0 when unknown.
            unit: what they are, in the plural.
            done: units that were done before.
            steps: names of the units to come, where they differ in what they cost.
        """
        forecast = self.forecast.begin_task(label, total, done, steps, time.monotonic())
        show = self._live_task if self._live else self._line_task
        with show(label, unit, forecast, steps) as advance:
            yield advance

    @contextmanager
    def _live_task(self, label: str, unit: str, forecast: TaskForecast, steps: Sequence[str]) -> Iterator[Advance]:
        assert self._live
        live, first = self._live, forecast.done
        note = steps[0] if steps else ""
        bar = live.add_task(
            label,
            total=forecast.total or None,
            completed=first,
            unit=unit,
            note=note,
            left=lambda: forecast.left(time.monotonic()),
            run=self.remaining,
        )

        def advance(n: int = 1, note: str | None = None) -> None:
            forecast.advance(n, time.monotonic())
            live.update(bar, advance=n)
            place = forecast.done - first
            if steps:
                note = steps[place] if place < len(steps) else ""
            if note is not None:
                live.update(bar, note=note)

        try:
            yield advance
        finally:
            live.remove_task(bar)

    @contextmanager
    def _line_task(self, label: str, unit: str, forecast: TaskForecast, steps: Sequence[str]) -> Iterator[Advance]:
        start = last = time.monotonic()
        total = forecast.total

        def advance(n: int = 1, note: str | None = None) -> None:
            nonlocal last
            now = time.monotonic()
            forecast.advance(n, now)
            left = forecast.left(now)
            every = min(max(LINE_EVERY, ((left.seconds or 0.0) + now - start) / LINES), LINE_AT_MOST_EVERY)
            if now - last < every or 0 < total <= forecast.done:
                return
            last = now
            of = f" of {total:,}" if total and unit != "%" else ""
            count = f"{forecast.done:,}{of} {unit}" + (f", {left.words()}" if total else "")
            whole = self.remaining()
            run = f"; run: {duration(whole)} left" if whole > (left.seconds or 0.0) + 1 else ""
            self.say(f"  {label}: {count}{run}" + (f"; {note}" if note else ""))

        yield advance
