"""A language model as an agent that calls tools: the template offers them, and its own form of a call is read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.chat.rendering import TurnsRejected
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.evaluation.agent_bench.model_agent import ModelAgent
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.chat.tools.template import ToolTemplate
    from synthetic_instruction_tuner.engines.base import Engine


class ToolAgent(ModelAgent):
    """Takes the turns of a model that calls tools; see `ModelAgent`.

    A conversation begins with a message of the role ``tools``: what may be called, as JSON.

    Args:
        engine, template, max_new_tokens, longest: as `ModelAgent` has them.
        tools: the template's way with tools.
    """

    def __init__(
        self,
        engine: Engine,
        template: ChatTemplate,
        tools: ToolTemplate,
        max_new_tokens: int = 512,
        longest: int | None = None,
    ) -> None:
        super().__init__(engine, template, max_new_tokens, longest)
        self._tools = tools

    def _request(self, messages: Sequence[Message]) -> Request:
        try:
            ids = self._tools.prompt_ids(messages[1:], json.loads(messages[0].content))
        except TurnsRejected:
            ids = []
        return Request(tuple(ids), 0, self._most, self._tools.stop_ids, temperature=0.0)

    def _overflow(self, request: Request) -> Turn | None:
        if not request.prompt_ids:
            return Turn("", "the chat template rejects the conversation")
        return super()._overflow(request)

    def _turn(self, request: Request, completion: Completion) -> Turn:
        if completion.finish_reason == "error":
            return super()._turn(request, completion)
        return Turn(self._tools.decode(completion.token_ids, request.prompt_ids))
