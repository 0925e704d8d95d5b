"""Runs a model on a server: many requests in flight, and a completion for each of them whatever happens to the server.

A request that the server can never serve becomes an error completion. One that it fails on is retried a few times, then
becomes one too. One whose connection broke is retried alone, after the others: if it crashes the server, no other
request is affected. If the server is gone, the engine waits for it (`watch`), says so, and goes on where it was.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request, split_faults
from synthetic_instruction_tuner.engines.server.client import (
    Dropped,
    Failed,
    Missing,
    Rejected,
    ServerFailure,
    Unavailable,
)
from synthetic_instruction_tuner.engines.server.dialects import Dialect, TokenDialect
from synthetic_instruction_tuner.engines.server.watch import Watch, pause
from synthetic_instruction_tuner.errors import RunError, SitError, UserError

_HOPELESS = 16  # after this many errors and no completion, it is the wrong server
_log = logging.getLogger(__name__)

Outcome = Completion | BaseException | None
"""A request's completion, the error that ends the run, or None for a request to retry alone."""


class FinishedTexts(Protocol):
    """Keeps completions until the work that they are for is stored; see `run.store.served_texts`."""

    def find(self, request: Request) -> Completion | None:
        """Returns the kept completion of a request."""

    def add(self, request: Request, completion: Completion) -> None:
        """Takes a completion; called in the thread that called `generate`."""

    def save(self) -> None:
        """Makes sure that what was added outlives this process."""


class ServerEngine:
    """Runs one model; see `engines.base.Engine`. The server keeps the model's memory; `close` only ends the requests.

    Args:
        dialect: how to talk to the server.
        where: its address, for messages.
        vocabulary: the number of ids that the model's tokenizer knows.
        concurrency: requests in flight.
        retries: attempts after the first, for a request that the server fails on.
        outage: seconds to wait for a server that is gone before the run stops.
        check: tells whether the server is there and in order; see `Watch`.
        finished: keeps completions, so that a run that has lost its server does not ask for them again.
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
        check: Callable[[], None] = lambda: None,
        finished: FinishedTexts | None = None,
    ) -> None:
        self._dialect, self._where, self._vocabulary = dialect, where, vocabulary
        self._concurrency, self._retries, self._outage = concurrency, retries, outage
        self._watch, self._finished = Watch(where, check, outage, self._tell), finished
        self._closed = threading.Event()
        self._answered: queue.SimpleQueue[tuple[int, Outcome | str]] = queue.SimpleQueue()
        self._caller = threading.current_thread()
        self._served = self._rejected = 0

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
        self._caller = threading.current_thread()
        order, results = split_faults(requests, self._vocabulary)
        if self._finished is not None:
            results |= {i: kept for i in order if (kept := self._finished.find(requests[i]))}
            order = [i for i in order if i not in results]
        if results and done is not None:
            done(len(results))
        alone: list[int] = []
        for number, outcome in self._side_by_side(requests, order):
            if outcome is None:
                alone.append(number)
            else:
                self._settle(results, requests[number], number, outcome, done)
        for number in sorted(alone):
            outcome = self._ask(requests[number], alone=True, stop=self._closed)
            assert outcome is not None
            self._settle(results, requests[number], number, outcome, done)
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
            fix = "Look at the server's own messages; then run the same command again to continue."
            raise RunError(f"The server {self._where} did not score a text.", str(error), fix) from None

    def describe(self) -> str:
        """Returns its address and how to talk to it, in a few words."""
        return f"{self._where} ({self._dialect.title})"

    def close(self) -> None:
        """Ends the requests in flight."""
        self._closed.set()

    def _side_by_side(self, requests: Sequence[Request], order: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        """Yields request indices and outcomes as they come."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        answered = self._answered = queue.SimpleQueue()
        stop = threading.Event()
        for number in order:
            waiting.put(number)

        def work() -> None:
            while not stop.is_set():
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                outcome: Outcome
                try:
                    outcome = self._ask(requests[number], alone=False, stop=stop)
                except BaseException as error:  # or the caller would wait for ever
                    outcome = error
                answered.put((number, outcome))

        # Daemons: an interrupted run ends immediately instead of waiting for answers that nobody reads.
        for _ in range(min(self._concurrency, len(order))):
            threading.Thread(target=work, daemon=True).start()
        try:
            left = len(order)
            while left:
                number, outcome = answered.get()
                if isinstance(outcome, str):
                    self._say(outcome)
                else:
                    left -= 1
                    yield number, outcome
        finally:
            stop.set()

    def _ask(self, request: Request, *, alone: bool, stop: threading.Event) -> Outcome:
        """Asks until there is an outcome. Runs in worker threads, so it raises nothing."""
        watch, began, attempts, rounds = self._watch, time.monotonic(), 0, 0
        refused = 0.0  # since when it has been refused
        while True:
            problem: SitError | None = None
            attempt = wanted = None
            try:
                answer = self._dialect.complete(request)
                self._check_ids(answer)
                return watch.accept(stop) or answer
            except Missing as error:  # it may have come back with another model
                return watch.wait(str(error), stop) or Completion((), "error", str(error))
            except Rejected as error:
                return Completion((), "error", str(error))
            except Unavailable as error:
                message, wanted = str(error), error.wait
                refused = max(refused or time.monotonic(), watch.returned)
                silent = time.monotonic() - max(began, watch.answered, watch.returned)
                if error.busy and silent <= self._outage and not stop.is_set():
                    watch.say_away(message, silent)
                else:
                    problem = watch.wait(message, stop)
                    longer = time.monotonic() - refused > self._outage and watch.returned <= refused
                    if problem is None and longer:  # the server is there, and refuses this request
                        return Completion((), "error", f"given up after {self._outage:.0f} s: {message}")
            except Dropped as error:
                message = str(error)
                problem = watch.wait(message, stop)
                if problem is None and not alone:
                    return None
                attempts += 1
                attempt = attempts
            except Failed as error:
                message = str(error)
                attempts += 1
                attempt = attempts
                if attempts > self._retries and not rounds:  # it may be the server's fault: then all others fail, too
                    asked = time.monotonic()
                    problem = watch.wait(message, stop)
                    rounds, attempts = (1, 0) if watch.returned > asked else (0, attempts)
            except SitError as error:
                return error
            except Exception as error:  # whatever this answer contains, the other requests are unaffected
                return Completion((), "error", f"the answer cannot be read ({type(error).__name__})")
            except BaseException as error:
                return error
            if problem is not None:
                return problem
            if attempts > self._retries:
                return Completion((), "error", f"given up after {attempts} attempts: {message}")
            waited = time.monotonic() - max(began, watch.answered, watch.returned)
            stop.wait(pause(waited, attempt) if wanted is None else wanted)

    def _check_ids(self, answer: Completion) -> None:
        """Refuses token ids that the model's tokenizer does not know: no later step could read them."""
        if answer.token_ids and (highest := max(answer.token_ids)) >= self._vocabulary:
            raise Failed(f"the answer holds token id {highest}, which is not in the vocabulary of {self._vocabulary}")

    def _tell(self, text: str) -> None:
        """Says something, in the thread that called `generate`."""
        if threading.current_thread() is self._caller:
            self._say(text)
        else:
            self._answered.put((-1, text))

    def _say(self, text: str) -> None:
        _log.warning("%s", text)
        if self._finished is not None:
            self._finished.save()

    def _settle(
        self, results: dict[int, Completion], request: Request, number: int, outcome: Outcome, done: Done | None
    ) -> None:
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        results[number] = outcome
        if outcome.finish_reason == "error":
            self._rejected += 1
        else:
            self._served += 1
            if self._finished is not None:
                self._finished.add(request, outcome)
        if not self._served and self._rejected >= _HOPELESS:
            raise RunError(
                f"The server {self._where} has not served any of {self._rejected} requests.",
                outcome.error,
                "Check that it runs the model whose tokenizer is used here, then run the same command again.",
            )
        if done is not None:
            done(1)
