"""A conversation in which the agent acts by calling tools: AgentBench's function-calling version.

A turn without a call, a call that cannot be read and one of a tool that is not there are said back to the agent and
counted; the conversation goes on until a tool ends it or the turns are used up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.chat.tools.calls import Said, ToolCall
from synthetic_instruction_tuner.chat.tools.template import Tool
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import TOOLS, End, Outcome, storable
from synthetic_instruction_tuner.records import Message

Reader = Callable[[str, Sequence[Tool]], Said]
"""Reads a turn; see `chat.tools.template.ToolTemplate.read`."""

Action = Callable[[Any], str | Outcome]
"""What a tool does with its argument: it returns what the agent is told, or ends the task."""

NO_CALL = "No tool was called. Call one of the tools."
UNREADABLE = "Error: the call cannot be read: {why}."
UNKNOWN = "Error: there is no tool {name}. The tools are {names}."
MOST_CALLS = 32  # in one turn
TOO_MANY = f"Error: a turn has at most {MOST_CALLS} calls; this one was not done."
MISSING = "Error: the call has no argument."


class ToolConversation:
    """Plays one task by calls of tools; see `dialogue.Dialogue`.

    Args:
        read: reads the agent's turns.
        tools: what may be called.
        opening: the messages before the agent's first turn.
        actions: by tool, what it does with its first argument, whatever that is called.
        rounds: the most turns.
        closing: gives the environment back.
    """

    def __init__(
        self,
        read: Reader,
        tools: Sequence[Tool],
        opening: Sequence[Message],
        actions: Mapping[str, Action],
        rounds: int,
        closing: Callable[[], None],
    ) -> None:
        self.outcome: Outcome | None = None
        self.messages = [Message(TOOLS, json.dumps(list(tools))), *opening]
        self._read, self._tools, self._actions, self._close = read, tools, actions, closing
        self._left, self._rounds, self._invalid = rounds, rounds, 0

    def take(self, text: str) -> None:
        """Takes the agent's turn: does what its calls say, in their order, until one ends the task."""
        self.messages.append(Message("assistant", storable(text)))
        self._left -= 1
        calls = self._read(text, self._tools).calls
        if not calls:
            self._invalid += 1
            self.messages.append(Message("user", NO_CALL))
        for number, call in enumerate(calls):
            answer = self._done(call) if number < MOST_CALLS else self._fault(TOO_MANY)
            if isinstance(answer, Outcome):
                self._end(answer)
                return
            self.messages.append(Message("tool", storable(answer)))
        if self._left == 0:
            self._end(Outcome(End.TASK_LIMIT, right=False, note=f"{self._rounds} turns without a final answer"))

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        self._end(Outcome(End.CONTEXT_OVERFLOW, right=False, note=note))

    def close(self) -> None:
        """Gives the environment back."""
        self._close()

    def _done(self, call: ToolCall) -> str | Outcome:
        fault = ""
        if call.fault:
            fault = UNREADABLE.format(why=call.fault)
        elif call.name not in self._actions:
            fault = UNKNOWN.format(name=call.name[:80], names=", ".join(self._actions))
        elif not call.arguments:
            fault = MISSING
        if fault:
            return self._fault(fault)
        return self._actions[call.name](next(iter(call.arguments.values())))

    def _fault(self, text: str) -> str:
        self._invalid += 1
        return text

    def _end(self, outcome: Outcome) -> None:
        answer, note = storable(outcome.answer), storable(outcome.note)
        self.outcome = replace(outcome, answer=answer, note=note, invalid_calls=self._invalid)
