"""The tasks of BFCL's single-turn categories, in its files: questions, and answers in a folder beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.task import fault_of, read_rows
from synthetic_instruction_tuner.records import Message

CATEGORIES = (
    *("simple", "simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance", "live_relevance"),
)
ANSWERS = "possible_answer"  # the folder with the right answers, whose files are named as the questions'
_NUMBER = re.compile(r"_\d+(-\d+)*$")
_FILE = re.compile(r"BFCL_v\d+_(\w+)\.jsonl?$")
_FIX = "Name files such as BFCL_v4_simple_python.json, with their answers in the folder possible_answer beside them."

Allowed = Mapping[str, Mapping[str, Sequence[Any]]]
"""A right call: by function and parameter, the allowed values; ``""`` among them means that it may be left out."""


@dataclass(frozen=True, slots=True)
class BfclTask:
    """One task.

    Attributes:
        id: such as ``parallel_12``.
        category: such as ``parallel``.
        messages: what the model is asked.
        functions: what it may call: name, description and parameters in BFCL's own types.
        answers: the right calls; none where no call is right, or where any is.
    """

    id: str
    category: str
    messages: tuple[Message, ...]
    functions: tuple[Mapping[str, Any], ...]
    answers: tuple[Allowed, ...] = ()

    @property
    def kind(self) -> str:
        """The category."""
        return self.category

    @property
    def group(self) -> str:
        """The category, whose accuracy counts as much as any other's."""
        return self.category

    @property
    def wants_no_call(self) -> bool:
        """Whether none of the functions helps, so that calling one is wrong."""
        return self.category.endswith("irrelevance")

    @property
    def wants_any_call(self) -> bool:
        """Whether any call is right."""
        return self.category.endswith("_relevance")


def read_bfcl(paths: Sequence[Path]) -> list[BfclTask]:
    """Returns the tasks of files, or of all files of single-turn categories in folders, in order.

    Raises:
        UserError: there are none, a file is of another category, or a task is broken.
    """
    files = [file for path in paths for file in (_in_folder(path) if path.is_dir() else [path])]
    tasks = [task for file in files for task in _read(file)]
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UserError(f"Two tasks are named {task.id}.", "a file was named twice, or holds a task twice", _FIX)
        seen.add(task.id)
    if not tasks:
        raise UserError("There are no tasks of BFCL.", f"none in {', '.join(map(str, paths))}", _FIX)
    return tasks


def category_of(name: str) -> str:
    """Returns the category in which a task's id stands; empty for one that is not played."""
    category = _NUMBER.sub("", name)
    return category if category in CATEGORIES else ""


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.iterdir() if (name := _FILE.match(file.name)) and name[1] in CATEGORIES)
    if not found:
        raise UserError(f"{folder} holds no files of BFCL.", "none is of a single-turn category", _FIX)
    return found


def _read(file: Path) -> Iterator[BfclTask]:
    answers = _answers(file)
    for number, row in enumerate(read_rows(file, _broken)):
        try:
            yield _task(row, answers)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise _broken(file, f"task {number}: {fault_of(error)}") from error


def _answers(file: Path) -> dict[str, Any]:
    """Returns the right calls by task."""
    beside = file.parent / ANSWERS / file.name
    if not beside.is_file():
        return {}
    try:
        return {row["id"]: row["ground_truth"] for row in read_rows(beside, _broken)}
    except (KeyError, TypeError) as error:
        raise _broken(beside, "a line has no id or no ground_truth") from error


def _task(row: Any, answers: Mapping[str, Any]) -> BfclTask:
    name = row["id"]
    if not (category := category_of(name)):
        raise ValueError(f"{name} is of no single-turn category: {', '.join(CATEGORIES)}")
    functions = row["function"] if isinstance(row["function"], list) else [row["function"]]
    for one in functions:
        if not isinstance(one["name"], str) or not _is_schema(one["parameters"]):
            raise TypeError("a function has no name, or parameters that are no schema")
    task = BfclTask(name, category, tuple(_messages(row["question"])), tuple(functions))
    if task.wants_no_call or task.wants_any_call:
        return task
    found = row.get("ground_truth", answers.get(name))
    if not found:
        raise ValueError(f"{name} has no right answer in {ANSWERS}")
    found = found if isinstance(found, list) else [found]
    known = {one["name"] for one in functions}
    for call in found:
        (function, allowed), *more = call.items()
        if more or function not in known or not all(isinstance(values, list) for values in allowed.values()):
            raise ValueError(f"the right answer of {name} is no call of its functions")
    return BfclTask(task.id, category, task.messages, task.functions, tuple(found))


def _is_schema(value: Any) -> bool:
    """Whether a value says of parameters what the matching asks for, down to the parameters within them."""
    if not isinstance(value, dict) or not isinstance(value.get("type", ""), str):
        return False
    properties, required = value.get("properties", {}), value.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    return all(isinstance(name, str) for name in required) and all(map(_is_schema, properties.values()))


def _messages(question: Any) -> Iterator[Message]:
    if isinstance(question, str):
        yield Message("user", question)
        return
    turns = question[0] if isinstance(question[0], list) else question
    if isinstance(question[0], list) and len(question) > 1:
        raise ValueError("it has several turns")
    if not turns:
        raise ValueError("it asks nothing")
    for turn in turns:
        if turn["role"] not in ("system", "user", "assistant") or not isinstance(turn["content"], str):
            raise TypeError("a message has no role or no text")
        yield Message(turn["role"], turn["content"])


def _broken(file: Path, why: str) -> UserError:
    return UserError(f"{file} is no file of BFCL tasks.", why, _FIX)
