"""A task of BFCL is one question and one turn: calls of tools where the template has them, else calls as Python's text.

The two forms are metrics of their own. The instructions of the second ask for what BFCL asks for, in other words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from synthetic_instruction_tuner.chat.tools.calls import Said, ToolCall, python_calls
from synthetic_instruction_tuner.chat.tools.template import Tool
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.matching import fault_of
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import TOOLS, End, Outcome, storable
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Reader
from synthetic_instruction_tuner.records import Message

INSTRUCTIONS = """\
Answer the question with calls of the functions below. Write the calls alone, as a list, and nothing else:
[first_function(parameter=value, other=value), second_function(parameter=value)]
If none of the functions can help, or the question lacks what a function needs, say so instead of calling one.

The functions, in JSON:
"""
_JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


class BfclConversation:
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the model is to call.
        read: reads a turn's calls of tools; None for calls as Python's text.
    """

    def __init__(self, task: BfclTask, read: Reader | None = None) -> None:
        self.outcome: Outcome | None = None
        self._task, self._read = task, read
        self._tools = tools_of(task) if read else []
        if read:
            self.messages = [Message(TOOLS, json.dumps(self._tools)), *task.messages]
        else:
            self.messages = list(_instructed(task))

    def take(self, text: str) -> None:
        """Takes the model's only turn, and judges its calls."""
        self.messages.append(Message("assistant", storable(text)))
        said = self._read(text, self._tools) if self._read else read_python(text)
        fault = fault_of(self._task, said.calls)
        invalid = sum(bool(call.fault) for call in said.calls)
        shown = json.dumps([_shown(call) for call in said.calls], ensure_ascii=False, default=str)
        self.outcome = Outcome(End.COMPLETED, not fault, storable(shown), storable(fault), invalid)

    def overflow(self, note: str) -> None:
        """Ends it because the question does not fit into the model."""
        self.outcome = Outcome(End.CONTEXT_OVERFLOW, right=False, note=note)

    def close(self) -> None:
        """There is nothing to give back."""


def tools_of(task: BfclTask) -> list[Tool]:
    """Returns a task's functions as chat templates get tools, with JSON's names for BFCL's types."""
    functions = [dict(one) | {"parameters": _schema(one["parameters"])} for one in task.functions]
    return [{"type": "function", "function": one} for one in functions]


def read_python(text: str) -> Said:
    """Returns the calls of a turn that should be a list of calls; none where it is something else."""
    bare = text.strip("`\n ")
    bare = bare if bare.startswith("[") else f"[{bare}"
    bare = bare if bare.endswith("]") else f"{bare}]"
    try:
        return Said("", tuple(python_calls(bare)))
    except ValueError:
        return Said(text)


def _instructed(task: BfclTask) -> Sequence[Message]:
    """Returns the question behind the instructions, which come before a system prompt of the task's own."""
    asked = INSTRUCTIONS + json.dumps([dict(one) for one in task.functions], ensure_ascii=False)
    first, *rest = task.messages
    if first.role == "system":
        return [Message("system", f"{asked}\n\n{first.content}"), *rest]
    return [Message("system", asked), *task.messages]


def _schema(value: Any) -> Any:
    """Returns a schema in JSON's types; a parameter may be named as a key of schemas is."""
    if isinstance(value, Mapping):
        kind = value.get("type")
        typed = {"type": _JSON_TYPES.get(kind, kind)} if isinstance(kind, str) else {}
        return {key: _schema(inner) for key, inner in value.items()} | typed
    return [_schema(one) for one in value] if isinstance(value, list) else value


def _shown(call: ToolCall) -> dict[str, Any]:
    return {call.name: dict(call.arguments)}
