"""An engine that writes made-up sentences: what a request gets depends on its seed alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request

WORDS = [a + b for a in "bdfgklmnprstvz" for b in ("ara", "emo", "iku", "olen", "undi", "apri", "este")]


def sentence(seed: int, words: int = 24) -> str:
    """Returns so many random words that differ for every seed."""
    return " ".join(random.Random(seed).choices(WORDS, k=words)).capitalize() + "."


class FakeEngine:
    """See `engines.base.Engine`.

    Args:
        tokenizer: turns the texts into ids.
        write: the text for a request; random words when not given.
        finish: the finish reason for a text.
        refuse: why a request fails; empty where it does not.

    Attributes:
        requests: all requests so far.
        failing_after: raises KeyboardInterrupt when more requests than this have come.
    """

    def __init__(
        self,
        tokenizer: Any,
        write: Callable[[Request], str] = lambda request: sentence(request.seed),
        finish: Callable[[str], Any] = lambda text: "stop",
        refuse: Callable[[Request], str] = lambda request: "",
    ) -> None:
        self.tokenizer, self.write, self.finish, self.refuse = tokenizer, write, finish, refuse
        self.requests: list[Request] = []
        self.failing_after: int | None = None

    @property
    def capabilities(self) -> Capabilities:
        """All that an engine may have but log-probabilities."""
        return Capabilities(seeded=True, batch_free=True, exact_stops=True, scores=False)

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Writes."""
        self.requests += requests
        if self.failing_after is not None and len(self.requests) > self.failing_after:
            raise KeyboardInterrupt
        if done is not None:
            done(len(requests))
        return [self._complete(request) for request in requests]

    def _complete(self, request: Request) -> Completion:
        if reason := self.refuse(request):
            return Completion((), "error", reason)
        text = self.write(request)
        return Completion(tuple(self.tokenizer.encode(text, add_special_tokens=False)), self.finish(text))

    def prompt(self, request: Request) -> str:
        """Returns a request's prompt as text."""
        return str(self.tokenizer.decode(list(request.prompt_ids)))

    def loglikelihood(self, pairs: Any) -> Any:
        """Not needed."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to free."""
