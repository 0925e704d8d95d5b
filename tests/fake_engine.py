"""An engine that writes made-up sentences: what a request gets depends on its seed alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from synthetic_instruction_tuner.engines.base import Completion, Done, Request

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

    Attributes:
        requests: all requests so far.
        failing_after: raises KeyboardInterrupt when more requests than this have come.
    """

    def __init__(
        self,
        tokenizer: Any,
        write: Callable[[Request], str] = lambda request: sentence(request.seed),
        finish: Callable[[str], Any] = lambda text: "stop",
    ) -> None:
        self.tokenizer, self.write, self.finish = tokenizer, write, finish
        self.requests: list[Request] = []
        self.failing_after: int | None = None

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Writes."""
        self.requests += requests
        if self.failing_after is not None and len(self.requests) > self.failing_after:
            raise KeyboardInterrupt
        texts = [self.write(request) for request in requests]
        if done is not None:
            done(len(texts))
        encode = self.tokenizer.encode
        return [Completion(tuple(encode(t, add_special_tokens=False)), self.finish(t)) for t in texts]

    def prompt(self, request: Request) -> str:
        """Returns a request's prompt as text."""
        return str(self.tokenizer.decode(list(request.prompt_ids)))

    def loglikelihood(self, pairs: Any) -> Any:
        """Not needed."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to free."""
