"""Progress display: a bar with an ETA on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.terminal import Console

LINE_EVERY = 10.0  # seconds between lines where there is no terminal


class Display:
    """Shows stages, tasks and notes on standard error; standard output stays for results.

    The overall ETA is the sum of the remaining stages' estimates and what is left of the current one.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.console = console or Console(stderr=True, highlight=False)
        self._live: Progress | None = None
        self._left: dict[str, float] = {}
        self._stage = ""
        self._stage_start = 0.0

    def __enter__(self) -> Display:
        if not self.quiet and self.console.is_terminal:
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<38}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}", markup=False),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}", style="dim", markup=False),
                console=self.console,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line."""
        if not self.quiet:
            self.console.print(text, style=style, markup=False, soft_wrap=True)

    def plan(self, seconds: dict[str, float]) -> None:
        """Sets the expected seconds of each remaining stage."""
        self._left = dict(seconds)

    def enter_stage(self, name: str, title: str) -> None:
        """Announces a stage, with the time that is left for the whole run."""
        self._stage, self._stage_start = name, time.monotonic()
        left = sum(self._left.values())
        self.say(f"▸ {title}" + (f"  (about {duration(left)} left in total)" if left >= 1 else ""), style="bold")

    def leave_stage(self, name: str) -> None:
        """Removes the stage from the overall estimate."""
        self._left.pop(name, None)

    def remaining(self, share_done: float) -> float:
        """Returns the seconds left in total when this share of the current stage is done."""
        others = sum(s for name, s in self._left.items() if name != self._stage)
        return others + self._left.get(self._stage, 0.0) * max(0.0, 1 - share_done)

    @contextmanager
    def task(self, label: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[..., None]]:
        """Shows a task of `total` units, 0 when unknown; yields ``advance(n, note="")``."""
        if self._live:
            with self._live_task(label, total, unit, done) as advance:
                yield advance
        else:
            with self._line_task(label, total, unit, done) as advance:
                yield advance

    @contextmanager
    def _live_task(self, label: str, total: int, unit: str, done: int) -> Iterator[Callable[..., None]]:
        assert self._live
        live = self._live
        bar = live.add_task(label, total=total or None, unit=unit, note="", completed=done)

        def advance(n: int = 1, note: str | None = None) -> None:
            live.update(bar, advance=n)
            if note is not None:
                live.update(bar, note=note)

        try:
            yield advance
        finally:
            live.remove_task(bar)

    @contextmanager
    def _line_task(self, label: str, total: int, unit: str, done: int) -> Iterator[Callable[..., None]]:
        start = last = time.monotonic()
        count, first = done, done

        def advance(n: int = 1, note: str | None = None) -> None:
            nonlocal last, count
            count += n
            now = time.monotonic()
            if now - last < LINE_EVERY or 0 < total <= count:
                return
            last = now
            left = (now - start) / max(count - first, 1) * (total - count)
            amount = f"{count:,} of {total:,} {unit}, about {duration(left)} left" if total else f"{count:,} {unit}"
            self.say(f"  {label}: {amount}" + (f"; {note}" if note else ""))

        yield advance
