"""Whether a server is there, and still the one that the run began with; shared by all threads that ask it.

After a failure that may mean that the server is gone, nothing more is accepted from it until a check has found it there
and with the same model. One thread makes the check, the others wait for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from synthetic_instruction_tuner.engines.server.client import Dropped, Failed, Unavailable
from synthetic_instruction_tuner.errors import RunError, SitError

LONGEST_PAUSE = 20.0  # seconds between two attempts
GRACE = 3.0  # seconds of silence that nobody is told of


class Watch:
    """The state of one server.

    Args:
        where: its address, for messages.
        check: raises Unavailable, Dropped or Failed while the server is away, and UserError where another model has
            taken its place.
        outage: seconds to wait for a server that is away before the run stops.
        tell: takes a sentence for the user.

    Attributes:
        answered: when the server last answered a request.
        returned: when it last came back.
    """

    def __init__(self, where: str, check: Callable[[], None], outage: float, tell: Callable[[str], None]) -> None:
        self._where, self._check, self._outage, self._tell = where, check, outage, tell
        self._lock = threading.Lock()
        self._suspicions = self._cleared = 0
        self._told: set[str] = set()
        self.answered = self.returned = time.monotonic()

    @property
    def suspect(self) -> bool:
        """Whether something has failed since the server was last found in order."""
        return self._suspicions > self._cleared

    def accept(self, stop: threading.Event) -> SitError | None:
        """Notes an answer; returns the error that ends the run where it is another model's."""
        if self.suspect and (problem := self.settle(stop)):
            return problem
        silent, self.answered = time.monotonic() - self.answered, time.monotonic()
        self.say_back(silent)
        return None

    def wait(self, reason: str, stop: threading.Event) -> SitError | None:
        """Waits until the server is there and in order; returns the error that ends the run if that is not so in time.

        Args:
            reason: what has failed.
            stop: ends the waiting.
        """
        self._suspicions += 1
        return self.settle(stop, reason)

    def settle(self, stop: threading.Event, reason: str = "") -> SitError | None:
        """Waits like `wait`, for something that has failed before."""
        with self._lock:
            since = time.monotonic()
            away = False
            while self.suspect:
                seen = self._suspicions
                try:
                    self._check()
                except (Unavailable, Dropped, Failed) as error:
                    away, reason, asked = True, str(error), getattr(error, "wait", None)
                except SitError as error:
                    return error
                except Exception as error:  # whatever it answers, it is not in order
                    away, reason, asked = True, f"its answer cannot be read ({type(error).__name__})", None
                else:
                    self._cleared = seen
                    continue
                waited = time.monotonic() - since
                if waited > self._outage or stop.is_set():
                    return self.gone(reason)
                self.say_away(reason, waited)
                stop.wait(pause(waited) if asked is None else asked)
            if away:
                self.returned = time.monotonic()
                self.say_back(self.returned - since)
            return None

    def say_away(self, reason: str, waited: float) -> None:
        """Says that the run waits, once for each reason, and not at once: most troubles pass."""
        if waited >= GRACE and reason not in self._told:
            self._told.add(reason)
            self._tell(
                f"The server {self._where} has been away for {waited:.0f} s ({reason}). The run waits for it, up to "
                f"{self._outage:.0f} s (engine.outage)."
            )

    def say_back(self, waited: float) -> None:
        """Says that the server is back, if it was said that it is away."""
        told, self._told = self._told, set()
        if told:
            self._tell(f"The server {self._where} is back after {waited:.0f} s.")

    def gone(self, reason: str) -> RunError:
        """Returns the error for a server that does not come back."""
        return RunError(
            f"The server {self._where} has been unavailable for {self._outage:.0f} s.",
            reason,
            "Start it and run the same command again: finished work is kept.",
        )


def pause(waited: float, attempt: int | None = None) -> float:
    """Returns seconds until the next attempt: exponential backoff with jitter."""
    longest = min(LONGEST_PAUSE, 0.25 * 2**attempt if attempt is not None else 0.25 + waited / 2)
    return longest * random.uniform(0.5, 1.0)
