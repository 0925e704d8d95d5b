"""Answers to BFCL that anybody has saved: BFCL's own result files, texts with calls, or calls as servers return them.

A row names its task by its id. A text is read as a list of Python calls, which is never evaluated. Calls are objects:
``{"name": ..., "arguments": ...}``, also within ``function``, or ``{name: arguments}``; arguments are an object, or a
text with its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.chat.tools.calls import Said, ToolCall, call_of
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import BfclConversation
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask
from synthetic_instruction_tuner.evaluation.agent_bench.results import TaskResult
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played
from synthetic_instruction_tuner.evaluation.agent_bench.task import read_rows
from synthetic_instruction_tuner.evaluation.saved_answers import without_thinking

FIELDS = ("result", "response", "responses", "tool_calls", "answer", "output", "message", "messages", "choices")
_FIX = 'Each row is a JSON object such as {"id": "simple_python_0", "result": "[f(a=1)]"}.'


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """An answer to one task.

    Attributes:
        text: what was said.
        calls: calls of tools; None where the calls are in the text.
    """

    text: str
    calls: tuple[ToolCall, ...] | None = None


def read_answers(place: Path) -> dict[str, SavedAnswer]:
    """Returns the answers of a file, or of all JSON files in a folder, by task.

    Raises:
        UserError: there are none, or a row is broken or answers a task for the second time.
    """
    files = sorted(file for file in place.rglob("*.json*") if file.is_file()) if place.is_dir() else [place]
    found: dict[str, SavedAnswer] = {}
    for file in files:
        for number, row in enumerate(read_rows(file, _broken), 1):
            name = row.get("id") if isinstance(row, Mapping) else None
            if not isinstance(name, str):
                raise _broken(file, f"row {number} has no id")
            if name in found:
                raise _broken(file, f"row {number} answers {name} for the second time")
            answer = _answer(row)
            if answer is None:
                raise _broken(file, f"row {number} has neither text nor calls in {', '.join(FIELDS)}")
            found[name] = answer
    if not found:
        raise _broken(place, "it has no row")
    return found


def score_answers(tasks: Sequence[BfclTask], answers: Mapping[str, SavedAnswer]) -> list[TaskResult]:
    """Returns how each answered task went. Calls of tools in one answer make all of them answers by calls of tools."""
    by_tools = any(answer.calls is not None for answer in answers.values())
    return [_scored(task, answers[task.id], by_tools) for task in tasks if task.id in answers]


def _scored(task: BfclTask, answer: SavedAnswer, by_tools: bool) -> TaskResult:
    said = Said(answer.text, answer.calls or ())
    conversation = BfclConversation(task, (lambda text, tools: said) if by_tools else None)
    conversation.take(answer.text)
    return TaskResult.of(task.id, task.group, Played([answer.text], conversation.messages, conversation.outcome))


def _answer(row: Mapping[str, Any]) -> SavedAnswer | None:
    """Returns what a row answers; None where it answers nothing."""
    value = next((row[name] for name in FIELDS if row.get(name) is not None), None)
    if isinstance(value, Mapping) and ("content" in value or "tool_calls" in value):  # a message
        return _answer_of(value.get("tool_calls") or value.get("content") or "")
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        last = value[-1]
        if isinstance(last.get("message"), Mapping):  # choices of a server
            last = last["message"]
        if "role" in last:
            return _answer_of(last.get("tool_calls") or last.get("content") or "")
    return _answer_of(value)


def _answer_of(value: Any) -> SavedAnswer | None:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        return SavedAnswer(without_thinking(value))
    values = [value] if isinstance(value, Mapping) else value
    if not isinstance(values, list) or not all(isinstance(one, Mapping) for one in values):
        return None
    return SavedAnswer(json.dumps(values, ensure_ascii=False), tuple(map(_call, values)))


def _call(value: Mapping[str, Any]) -> ToolCall:
    inner = value.get("function")
    own = inner if isinstance(inner, Mapping) else value
    if isinstance(own.get("name"), str):
        return call_of(own["name"], next((own[key] for key in ("arguments", "parameters", "input") if key in own), {}))
    if own is value and len(value) == 1:
        return call_of(*next(iter(value.items())))
    return ToolCall("", fault="it names no function")


def _broken(file: Path, why: str) -> UserError:
    return UserError(f"{file} is no file of answers to BFCL.", why, _FIX)
