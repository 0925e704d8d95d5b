"""An engine that answers from a function, for tests of scoring alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.records import Message

START, END = "<|im_start|>", "<|im_end|>"


class CannedEngine:
    """Answers each conversation (its turns' texts) with a function's text, and counts its calls."""

    def __init__(
        self,
        tokenizer: Any,
        answer: Callable[[list[str]], str] = lambda turns: "",
        likes: Callable[[str, str], float] = lambda context, continuation: -1.0,
    ) -> None:
        self.tokenizer, self.answer, self.likes = tokenizer, answer, likes
        self.calls: list[list[Request]] = []

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        self.calls.append(list(requests))
        return [self._complete(r) for r in requests]

    def _complete(self, request: Request) -> Completion:
        ids = self.tokenizer.encode(self.answer(turns(self.tokenizer.decode(request.prompt_ids))))
        cut = ids[: request.max_new_tokens]
        return Completion(tuple(cut), "stop" if cut == ids else "length")

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        decode = self.tokenizer.decode
        return [(self.likes(decode(context), decode(continuation)), False) for context, continuation in pairs]

    def close(self) -> None:
        pass


class LengthReward:
    """Scores an answer by its length."""

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        return [len(answer) / 100 - len(messages) for messages, answer in items]


def turns(prompt: str) -> list[str]:
    """Returns the turns' texts of a prompt in the template of `random_models`."""
    parts = [part.split(END)[0] for part in prompt.split(START)[1:-1]]
    return [part.split("\n", 1)[1] for part in parts]
