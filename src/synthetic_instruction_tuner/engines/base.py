"""The small interface behind which every engine runs a model: token ids in, token ids out.

Strings never cross it, so that no tokenizer can add a second BOS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One text to be continued.

    Attributes:
        prompt_ids: the prompt's token ids, BOS included where the model wants one.
        seed: fixes this request's random draws, whatever else is in the batch.
        max_new_tokens: at most so many tokens are sampled.
        stop_ids: any of these ends the text; it is not part of the completion.
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
    """What a model wrote for one request.

    Attributes:
        token_ids: the sampled tokens, without the stop token.
        finish_reason: ``stop`` when a stop id ended it, ``length`` when the token limit did, ``error`` when this
            request cannot be served; it then has no tokens, and the other requests are not touched by it.
        error: why it cannot be served, in one line; empty otherwise.
    """

    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length", "error"]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can promise. The conformance tests hold it to its word.

    Attributes:
        seeded: a request's draws come from its own seed: the same request alone gives the same text again.
        batch_free: the same request and seed give the same text whatever else is decoded at the same time. Not so where
            half-precision kernels round differently for other batch sizes, or where seeds are shared.
        exact_stops: every stop id ends a text. Otherwise only the model's own end tokens are sure to.
        scores: `loglikelihood` works.
        exact_ids: the token ids are those that were sampled. Otherwise they are what the text reads back as, and a
            character that was cut in the middle is lost.
    """

    seeded: bool
    batch_free: bool
    exact_stops: bool
    scores: bool
    exact_ids: bool = True


Done = Callable[[int], None]
"""Called with the number of requests that have just finished, for progress display."""


class Engine(Protocol):
    """Runs one model. `close` gives its memory back; the engine cannot be used afterwards."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can promise."""
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
