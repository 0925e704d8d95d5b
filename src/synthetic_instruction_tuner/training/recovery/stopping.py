"""Being asked to stop: SIGTERM of a machine that is taken away, and Ctrl-C.

A signal that arrives in the middle of a forward or backward pass ends it: nothing of it is needed. One that arrives
while weights are updated or a checkpoint is written waits for the next pass, which is then not begun. In both cases the
state is that of a whole number of steps, and can be saved. Afterwards the signal does what it would have done at first.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """A signal has ended a training between two updates."""


class Stopping:
    """Holds back signals within its block, in the main thread; in others Python allows no handlers."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._received: int | None = None
        self._interruptible = False

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # nohup, or a handler of another language
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._received is not None and (error is None or isinstance(error, Stopped)):
            signal.raise_signal(self._received)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within it a signal raises at once; one that has arrived before raises at its beginning.

        Raises:
            Stopped: a signal has arrived.
        """
        self._interruptible = True
        try:
            if self._received is not None:
                raise Stopped
            yield
        finally:
            self._interruptible = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None and number == signal.SIGINT:  # somebody cannot wait
            raise KeyboardInterrupt
        self._received = self._received or number
        if self._interruptible:
            self._interruptible = False  # a second one must not interrupt what is done about the first
            raise Stopped
