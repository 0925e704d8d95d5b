"""The tasks of DBBench, as AgentBench's files have them: JSON lines, or one JSON list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError

MUTATIONS = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class DbTask:
    """One task.

    Attributes:
        id: its place in the file, such as ``db-0042``.
        question: what the agent is asked.
        about: the sentence that names the table and its columns.
        kind: ``INSERT``, ``UPDATE``, ``DELETE``, or the kind of question, such as ``counting``.
        table: the table's name, and its database's.
        columns: the columns' names; each is TEXT unless it is one of `numbers`.
        rows: the table's content.
        label: the right answer to a question: its values. Of a change, SQL that makes it.
        answer_md5: the hash of the table after a right change, as MySQL's connector prints it; empty for questions.
        numbers: the columns that hold whole numbers; DBBench has none.
    """

    id: str
    question: str
    about: str
    kind: str
    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    label: tuple[str, ...]
    answer_md5: str = ""
    numbers: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the table is judged instead of an answer."""
        return self.kind in MUTATIONS

    @property
    def group(self) -> str:
        """``SELECT``, ``INSERT`` or ``UPDATE``: the three whose accuracies the headline averages."""
        return self.kind if self.kind in ("INSERT", "UPDATE") else "SELECT"


def read_tasks(file: Path) -> list[DbTask]:
    """Returns the tasks of a file, in order.

    Raises:
        UserError: the file is not there, or a task is broken.
    """
    try:
        text = file.read_text(encoding="utf-8")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in _lines(text)]
    except OSError as error:
        raise UserError(f"The tasks in {file} cannot be read.", str(error.strerror), "Name a file of tasks.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _broken(file, str(error)) from error
    if not rows:
        raise _broken(file, "it has no task")
    return [_task(row, number, file) for number, row in enumerate(rows)]


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _task(row: Any, number: int, file: Path) -> DbTask:
    try:
        table, kind = row["table"], str(row["type"][0])
        columns = tuple(str(column["name"]) for column in table["table_info"]["columns"])
        rows = tuple(tuple(cells) for cells in table["table_info"]["rows"])
        found = DbTask(
            f"db-{number:04d}",
            _text(row["description"]),
            _text(row["add_description"]),
            kind,
            _text(table["table_name"]),
            columns,
            rows,
            tuple(map(str, row["label"])),
            _text(row["answer_md5"]) if kind in MUTATIONS else "",
        )
    except (KeyError, IndexError, TypeError) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise _broken(file, f"task {number}: {what}") from error
    if not columns or len({name.lower() for name in columns}) < len(columns):
        raise _broken(file, f"task {number}: its table has no columns, or two of the same name")
    wrong = next((k for k, cells in enumerate(rows) if len(cells) != len(columns)), None)
    if wrong is not None:
        raise _broken(file, f"task {number}: row {wrong} has not as many cells as there are columns")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not text")
    return value


def _broken(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} is no file of DBBench tasks.",
        why,
        "Each line is a JSON object with description, add_description, type, table and label, as AgentBench 0.2 has "
        "them.",
    )
