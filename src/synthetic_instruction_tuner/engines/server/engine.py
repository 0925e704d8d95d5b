"""Runs a model on a server: many requests in flight, and a completion for each of them whatever happens to the server.

A request that the server can never serve becomes an error completion. One that it fails on is retried a few times, then
becomes one too. One whose connection broke is retried alone, after the others: if it crashes the server, no other
request is affected. If the server is gone, the engine waits for it.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator, Sequence

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request, split_faults
from synthetic_instruction_tuner.engines.server.client import Dropped, Failed, Rejected, ServerFailure, Unavailable
from synthetic_instruction_tuner.engines.server.dialects import Dialect, TokenDialect
from synthetic_instruction_tuner.errors import RunError, SitError, UserError

_LONGEST_PAUSE = 20.0
_HOPELESS = 16  # after this many errors and no completion, it is the wrong server

Outcome = Completion | BaseException | None
"""A request's completion, the error that ends the run, or None for a request to retry alone."""


class ServerEngine:
    """Runs one model; see `engines.base.Engine`. The server keeps the model's memory; `close` only ends the requests.

    Args:
        dialect: how to talk to the server.
        where: its address, for messages.
        vocabulary: the number of ids that the model's tokenizer knows.
        concurrency: requests in flight.
        retries: attempts after the first, for a request that the server fails on.
        outage: seconds to wait for a server that is gone before the run stops.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        where: str,
        vocabulary: int,
        concurrency: int = 32,
        retries: int = 4,
        outage: float = 900.0,
    ) -> None:
        self._dialect, self._where, self._vocabulary = dialect, where, vocabulary
        self._concurrency, self._retries, self._outage = concurrency, retries, outage
        self._closed = threading.Event()
        self._served = self._rejected = 0
        self._last_answer = time.monotonic()

    @property
    def capabilities(self) -> Capabilities:
        """What a server of this kind guarantees."""
        return self._dialect.capabilities

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns one completion per request, in order.

        Raises:
            RunError: the server did not come back, or rejects everything.
            UserError: it does not accept the key.
        """
        order, results = split_faults(requests, self._vocabulary)
        if results and done is not None:
            done(len(results))
        alone: list[int] = []
        for number, outcome in self._side_by_side(requests, order):
            if outcome is None:
                alone.append(number)
            else:
                self._settle(results, number, outcome, done)
        for number in sorted(alone):
            outcome = self._ask(requests[number], alone=True, stop=self._closed)
            assert outcome is not None
            self._settle(results, number, outcome, done)
        return [results[i] for i in range(len(requests))]

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Returns for each (context, continuation) the sum of log-probabilities, in nats, and whether it is greedy.

        Raises:
            UserError: the server gives no log-probabilities of prompts.
        """
        if not isinstance(self._dialect, TokenDialect) or not self.capabilities.scores:
            raise UserError(
                f"The server {self._where} gives no log-probabilities of prompts.",
                "only vLLM's server is known to give them",
                "Set engine.kind=transformers or engine.kind=vllm for this work.",
            )
        try:
            return [self._dialect.score(*pair) if pair[1] else (0.0, True) for pair in pairs]
        except ServerFailure as error:
            raise RunError(f"The server {self._where} did not score a text.", str(error)) from None

    def describe(self) -> str:
        """Returns its address and how to talk to it, in a few words."""
        return f"{self._where} ({self._dialect.title})"

    def close(self) -> None:
        """Ends the requests in flight."""
        self._closed.set()

    def _side_by_side(self, requests: Sequence[Request], order: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        """Yields request indices and outcomes as they come."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        answered: queue.SimpleQueue[tuple[int, Outcome]] = queue.SimpleQueue()
        stop = threading.Event()
        for number in order:
            waiting.put(number)

        def work() -> None:
            while not stop.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                answered.put((number, self._ask(requests[number], alone=False, stop=stop)))

        # Daemons: an interrupted run ends immediately instead of waiting for answers that nobody reads.
        for _ in range(min(self._concurrency, len(order))):
            threading.Thread(target=work, daemon=True).start()
        try:
            for _ in order:
                yield answered.get()
        finally:
            stop.set()

    def _ask(self, request: Request, *, alone: bool, stop: threading.Event) -> Outcome:
        """Asks until there is an outcome. Runs in worker threads, so it raises nothing."""
        attempts, since = 0, time.monotonic()
        while True:
            try:
                answer = self._dialect.complete(request)
                self._last_answer = time.monotonic()
                return answer
            except Rejected as error:
                return Completion((), "error", str(error))
            except Unavailable as error:
                attempt, message = None, str(error)
                if time.monotonic() - max(since, self._last_answer) > self._outage or stop.is_set():
                    return self._gone(message)
                pause = error.wait
            except (Dropped, Failed) as error:
                if isinstance(error, Dropped) and not alone:
                    return None
                attempts += 1
                attempt, message, pause = attempts, str(error), None
                if attempts > self._retries:
                    return Completion((), "error", f"given up after {attempts} attempts: {message}")
                since = time.monotonic()  # it answers, if badly
            except SitError as error:
                return error
            except Exception as error:  # whatever this answer contains, the other requests are unaffected
                return Completion((), "error", f"the answer cannot be read ({type(error).__name__})")
            except BaseException as error:
                return error
            waited = time.monotonic() - max(since, self._last_answer)
            stop.wait(_pause(waited, attempt) if pause is None else pause)

    def _settle(self, results: dict[int, Completion], number: int, outcome: Outcome, done: Done | None) -> None:
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        results[number] = outcome
        if outcome.finish_reason == "error":
            self._rejected += 1
        else:
            self._served += 1
        if not self._served and self._rejected >= _HOPELESS:
            raise RunError(
                f"The server {self._where} has not served any of {self._rejected} requests.",
                outcome.error,
                "Check that it runs the model whose tokenizer is used here, then run the same command again.",
            )
        if done is not None:
            done(1)

    def _gone(self, message: str) -> RunError:
        return RunError(
            f"The server {self._where} has been unavailable for {self._outage:.0f} s.",
            message,
            "Start it and run the same command again: finished work is kept.",
        )


def _pause(waited: float, attempt: int | None) -> float:
    """Returns seconds until the next attempt: exponential backoff with jitter."""
    longest = min(_LONGEST_PAUSE, 0.25 * 2**attempt if attempt is not None else 0.25 + waited / 2)
    return longest * random.uniform(0.5, 1.0)
