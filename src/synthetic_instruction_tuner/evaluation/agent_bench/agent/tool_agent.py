"""A language model as an agent that calls tools: the template offers them, and its own form of a call is read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.chat.rendering import TurnsRejected
from synthetic_instruction_tuner.chat.tools.template import NoTools, ToolTemplate
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.evaluation.agent_bench.agent.model_agent import ModelAgent
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import TOOLS, UNFORESEEN
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Reader
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine


class ToolAgent(ModelAgent):
    """Takes the turns of a model that calls tools; see `ModelAgent`.

    A conversation with tools begins with a message of the role ``tools``: what may be called, as JSON. The others are
    answered by text.

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
        if messages[0].role != TOOLS:
            return super()._request(messages)
        try:
            ids = self._tools.prompt_ids(messages[1:], json.loads(messages[0].content))
        except (TurnsRejected, *UNFORESEEN):  # what it says is read and written again
            ids = []
        return Request(tuple(ids), 0, self._most, self._tools.stop_ids, temperature=0.0)

    def _overflow(self, request: Request) -> Turn | None:
        if not request.prompt_ids:
            return Turn("", "the chat template rejects the conversation")
        return super()._overflow(request)

    def _turn(self, messages: Sequence[Message], request: Request, completion: Completion) -> Turn:
        if completion.finish_reason == "error" or messages[0].role != TOOLS:
            return super()._turn(messages, request, completion)
        return Turn(self._tools.decode(completion.token_ids, request.prompt_ids))


def agent_of(
    engine: Engine, template: ChatTemplate, form: str, max_new_tokens: int = 512
) -> tuple[ModelAgent, Reader | None]:
    """Returns a model as an agent, and what reads its calls of tools; None where it acts by text.

    Args:
        engine, template: the model's.
        form: ``text``, ``tools``, or ``auto`` for tools where the template has them.
        max_new_tokens: the longest turn.

    Raises:
        NoTools: `form` is ``tools``, and the template has none.
    """
    tools = tools_of(template, form)
    if tools is None:
        return ModelAgent(engine, template, max_new_tokens), None
    return ToolAgent(engine, template, tools, max_new_tokens), tools.read


def tools_of(template: ChatTemplate, form: str) -> ToolTemplate | None:
    """Returns a template's way with tools; None where the model acts by text; see `agent_of`."""
    if form == "text":
        return None
    try:
        return ToolTemplate(template)
    except NoTools:
        if form == "tools":
            raise
        return None
