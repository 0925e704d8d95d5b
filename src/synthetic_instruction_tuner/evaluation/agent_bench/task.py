"""What all agents' tasks have, and how files of tasks are read: JSON lines, a JSON list, or one object."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from synthetic_instruction_tuner.errors import UserError

Broken = Callable[[Path, str], UserError]
"""Makes the error of a file that holds no such tasks, with the reason."""


class AgentTask(Protocol):
    """A task of any benchmark."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def kind(self) -> str:
        """What kind of task it is, in its benchmark's words."""
        ...

    @property
    def group(self) -> str:
        """The kind that it is counted with: the headline is the mean of the groups' accuracies."""
        ...


T = TypeVar("T", bound=AgentTask)


def spread(tasks: Sequence[T], most: int | None) -> list[T]:
    """Returns at most `most` tasks in their order: the first of each group in turn, so that all groups are there."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        groups[task.group].append(number)
    by_turn = sorted((place, number) for numbers in groups.values() for place, number in enumerate(numbers))
    return [tasks[number] for number in sorted(number for _, number in by_turn[:most])]


def read_rows(file: Path, broken: Broken) -> list[Any]:
    """Returns the JSON values of a file of tasks.

    Raises:
        UserError: the file is not there, is no JSON, or holds nothing.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = _values(text)
        if "\\ud" in text.lower():  # such a text may name half a character, which no database and no file takes
            json.dumps(rows, ensure_ascii=False).encode("utf-8")
    except OSError as error:
        raise UserError(f"The tasks in {file} cannot be read.", str(error.strerror), "Name a file of tasks.") from error
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits, too many lists
        raise broken(file, str(error)) from error
    if not rows:
        raise broken(file, "it has no task")
    return rows


def _values(text: str) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and not text.lstrip().startswith("[") and _is_json(lines[0][1]):
        return [_value(line, number) for number, line in lines]
    whole = json.loads(text) if lines else []
    return whole if isinstance(whole, list) else [whole]


def _is_json(line: str) -> bool:
    """Returns whether the first line is a value of its own, and not the beginning of an object on several lines."""
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _value(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error


def text_of(value: Any) -> str:
    """Returns a field's text.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not text")
    return value


def fault_of(error: Exception) -> str:
    """Returns what is wrong with a row that could not be read."""
    return f"field {error} is missing" if isinstance(error, KeyError) else str(error)
