"""The interface of all engines: token ids in, token ids out, and one faulty request never fails the others.

No text crosses it, so no tokenizer can add a second BOS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

SHOWN_REASONS = 3  # different reasons for which requests failed


@dataclass(frozen=True, slots=True)
class Request:
    """One text to continue.

    Attributes:
        prompt_ids: the prompt's token ids, BOS included where the model wants one.
        seed: determines this request's random draws, whatever else is in the batch.
        max_new_tokens: the most tokens to sample.
        stop_ids: each of these tokens ends the text; the completion does not include it.
        temperature: 0 is greedy decoding.
        top_p: nucleus sampling; 1 samples from the whole distribution.
    """

    prompt_ids: tuple[int, ...]
    seed: int
    max_new_tokens: int
    stop_ids: tuple[int, ...]
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Completion:
    """The output for one request.

    Attributes:
        token_ids: the sampled tokens, without the stop token.
        finish_reason: ``stop`` when a stop id ended it, ``length`` when the token limit did, ``error`` when the engine
            could not serve this request; it then has no tokens, and the other requests are unaffected.
        error: why the engine could not serve it, in one line; empty otherwise.
    """

    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length", "error"]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine guarantees; the conformance tests check it.

    Attributes:
        seeded: a request's draws come from its own seed: the same request alone gives the same text again.
        batch_free: the same request and seed give the same text whatever else is decoded at the same time. This does
            not hold where half-precision kernels round differently for other batch sizes, or where seeds are shared.
        exact_stops: every stop id ends a text. Otherwise only the model's own end tokens are certain to.
        scores: `loglikelihood` works.
        exact_ids: the token ids are the sampled ones. Otherwise the returned text was tokenized again, and a character
            that was cut in the middle is lost.
    """

    seeded: bool
    batch_free: bool
    exact_stops: bool
    scores: bool
    exact_ids: bool = True


Done = Callable[[int], None]
"""Called with the number of requests that have just finished, to show progress."""


class Engine(Protocol):
    """Runs one model. `close` gives its memory back; the engine cannot be used afterwards."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine guarantees."""
        ...

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns one completion per request, in order; a pure function of the requests and the model."""
        ...

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Returns for each (context, continuation) the sum of log-probabilities, in nats, and whether it is greedy."""
        ...

    def close(self) -> None:
        """Frees the model's memory."""
        ...


def _fault(request: Request, vocabulary: int, *, longest: int | None = None, soft_prompt: bool = False) -> str:
    """Returns why no engine can serve this request, or an empty text.

    On a GPU a token id outside the vocabulary would crash the whole process.
    """
    prompt = request.prompt_ids
    if not prompt and not soft_prompt:
        return "the prompt is empty"
    if request.max_new_tokens < 1:
        return f"max_new_tokens is {request.max_new_tokens}"
    if prompt and not 0 <= min(prompt) <= max(prompt) < vocabulary:
        wrong = min(prompt) if min(prompt) < 0 else max(prompt)
        return f"token id {wrong} is not in the vocabulary of {vocabulary}"
    if longest is not None and len(prompt) >= longest:
        return f"the prompt has {len(prompt)} tokens, and prompt and answer together may have {longest}"
    return ""


def split_faults(
    requests: Sequence[Request], vocabulary: int, *, longest: int | None = None, soft_prompt: bool = False
) -> tuple[list[int], dict[int, Completion]]:
    """Returns the indices of the requests that can be served, and the error completions of the others.

    Args:
        requests: the requests.
        vocabulary: rows of the model's embedding.
        longest: the most tokens of prompt and answer together, where the engine has such a limit.
        soft_prompt: whether virtual tokens precede every prompt, which makes an empty prompt possible.
    """
    faults = {
        i: fault
        for i, request in enumerate(requests)
        if (fault := _fault(request, vocabulary, longest=longest, soft_prompt=soft_prompt))
    }
    served = [i for i in range(len(requests)) if i not in faults]
    return served, {i: Completion((), "error", fault) for i, fault in faults.items()}


def failure_reason(completion: Completion) -> str:
    """Returns why the request failed; empty if it did not."""
    return (completion.error or "no reason is known") if completion.finish_reason == "error" else ""


def failure_note(reasons: Counter[str], what: str = "requests") -> str:
    """Returns how many requests failed and why, such as "3 requests failed: too long (3)"; empty if none did."""
    return f"{reasons.total():,} {what} failed: {most_frequent(reasons)}" if reasons else ""


def most_frequent(reasons: Counter[str]) -> str:
    """Returns the most frequent reasons with their counts."""
    most = [f"{why} ({count:,})" for why, count in reasons.most_common(SHOWN_REASONS)]
    more = len(reasons) - len(most)
    return ", ".join(most + ([f"{more:,} other reasons"] if more else []))
