"""Answers to BFCL that anybody has saved: BFCL's own result files, texts with calls, or calls as servers return them.

A row names its task by its id. A text is read as a list of Python calls, which is never evaluated. Calls are objects:
``{"name": ..., "arguments": ...}``, also within ``function``, or ``{name: arguments}``; arguments are an object, or a
text with its JSON. Of several fields the first that says something counts, and calls of tools before all others.
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
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask, category_of
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import take
from synthetic_instruction_tuner.evaluation.agent_bench.results import TaskResult
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played
from synthetic_instruction_tuner.evaluation.agent_bench.task import read_rows
from synthetic_instruction_tuner.evaluation.saved_answers import without_thinking

FIELDS = ("tool_calls", "result", "response", "responses", "answer", "output", "message", "messages", "choices")
_TEXTS = ("text", "output_text")  # types of the parts of a message that are said
_SILENT = ("message", "thinking", "redacted_thinking", "reasoning")  # and of what stands beside calls
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

    @property
    def says_something(self) -> bool:
        """Whether there is a call, or a text that is more than white space."""
        return bool(self.calls or (self.calls is None and self.text.strip()))


@dataclass(frozen=True, slots=True)
class SavedAnswers:
    """What a file or a folder holds.

    Attributes:
        by_task: an answer each.
        skipped: files of the folder that answer no task of a single-turn category.
    """

    by_task: Mapping[str, SavedAnswer]
    skipped: tuple[Path, ...] = ()


def read_answers(place: Path) -> SavedAnswers:
    """Returns the answers of a file, or of all JSON files in a folder that have some to single-turn categories.

    Raises:
        UserError: there are none, or a row is broken or answers a task for the second time.
    """
    files = sorted(file for file in place.rglob("*.json*") if file.is_file()) if place.is_dir() else [place]
    found: dict[str, SavedAnswer] = {}
    skipped = []
    for file in files:
        rows = read_rows(file, _broken)
        if place.is_dir() and not any(category_of(_id(row)) for row in rows):
            skipped.append(file)
        else:
            _add(file, rows, found)
    if not found:
        raise _broken(place, "none of its files is of a single-turn category" if skipped else "it has no row")
    return SavedAnswers(found, tuple(skipped))


def _add(file: Path, rows: Sequence[Any], found: dict[str, SavedAnswer]) -> None:
    """Adds a file's answers to those that were found."""
    for number, row in enumerate(rows, 1):
        name = _id(row)
        if not name:
            raise _broken(file, f"row {number} has no id")
        if name in found:
            raise _broken(file, f"row {number} answers {name} for the second time")
        answer = _answer(row)
        if answer is None:
            raise _broken(file, f"row {number} has neither text nor calls in {', '.join(FIELDS)}")
        found[name] = answer


def _id(row: Any) -> str:
    name = row.get("id") if isinstance(row, Mapping) else None
    return name if isinstance(name, str) else ""


def score_answers(tasks: Sequence[BfclTask], answers: Mapping[str, SavedAnswer]) -> list[TaskResult]:
    """Returns how each answered task went. Calls of tools in one answer make all of them answers by calls of tools."""
    by_tools = any(answer.calls for answer in answers.values())
    return [_scored(task, answers[task.id], by_tools) for task in tasks if task.id in answers]


def _scored(task: BfclTask, answer: SavedAnswer, by_tools: bool) -> TaskResult:
    said = Said(answer.text, answer.calls or ())
    conversation = BfclConversation(task, (lambda text, tools: said) if by_tools else None)
    outcome = take(conversation, answer.text)
    return TaskResult.of(task.id, task.group, Played([answer.text], conversation.messages, outcome))


def _answer(row: Mapping[str, Any]) -> SavedAnswer | None:
    """Returns what a row answers: its first field that says something. None where none can be read."""
    values = [row[name] for name in FIELDS if row.get(name) is not None]
    answers = [answer for answer in map(_answer_in, values) if answer is not None]
    return next((answer for answer in answers if answer.says_something), answers[0] if answers else None)


def _answer_in(value: Any) -> SavedAnswer | None:
    """Returns what a field answers; None where it cannot be read."""
    if isinstance(value, Mapping) and ("content" in value or "tool_calls" in value):  # a message
        return _answer_of(value.get("tool_calls") or value.get("content") or "")
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        last = value[-1]
        if isinstance(last.get("message"), Mapping):  # choices of a server
            last = last["message"]
        if "role" in last or "tool_calls" in last:
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
    texts = [one["text"] for one in values if one.get("type") in _TEXTS and isinstance(one.get("text"), str)]
    calls = tuple(_call(one) for one in values if one.get("type") not in (*_TEXTS, *_SILENT))
    if values and not calls:
        return SavedAnswer(without_thinking("".join(texts)))
    return SavedAnswer(json.dumps([{one.name: dict(one.arguments)} for one in calls], ensure_ascii=False), calls)


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
