"""A language model as an agent: greedy, through the chat template, all conversations in one call of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine


class ModelAgent:
    """Takes the turns of a model; see `rounds.Agent`.

    Args:
        engine: runs the model.
        template: its chat template. Thoughts that it marks are no part of a turn.
        max_new_tokens: the longest turn.
        longest: tokens of conversation and turn together; None where the engine knows.
    """

    def __init__(
        self, engine: Engine, template: ChatTemplate, max_new_tokens: int = 512, longest: int | None = None
    ) -> None:
        self._engine, self._template = engine, template
        self._most, self._longest = max_new_tokens, longest

    def __call__(self, conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        """Returns one turn for each conversation; one that does not fit is an overflow, and the others are played."""
        requests = [self._request(messages) for messages in conversations]
        turns = [self._overflow(request) for request in requests]
        fitting = [k for k, turn in enumerate(turns) if turn is None]
        completions = self._engine.generate([requests[k] for k in fitting])
        for k, completion in zip(fitting, completions, strict=True):
            turns[k] = self._turn(conversations[k], requests[k], completion)
        return [turn or Turn("") for turn in turns]

    def _request(self, messages: Sequence[Message]) -> Request:
        ids = tuple(self._template.prompt_ids(messages))
        return Request(ids, 0, self._most, tuple(self._template.stop_ids), temperature=0.0)

    def _overflow(self, request: Request) -> Turn | None:
        if self._longest is None or len(request.prompt_ids) + self._most <= self._longest:
            return None
        return Turn("", f"{len(request.prompt_ids):,} tokens and a turn of {self._most:,} exceed {self._longest:,}")

    def _turn(self, messages: Sequence[Message], request: Request, completion: Completion) -> Turn:
        if completion.finish_reason == "error":
            return Turn("", completion.error or "the engine could not serve it")
        return Turn(self._template.decode(completion.token_ids, request.prompt_ids))
