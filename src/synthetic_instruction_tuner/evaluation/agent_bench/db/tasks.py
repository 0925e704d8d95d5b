"""The tasks of DBBench, as AgentBench's files have them: JSON lines, or one JSON list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.task import fault_of, read_rows, text_of

MUTATIONS = ("INSERT", "UPDATE", "DELETE")
_CELL = (str, int, float, type(None))


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
    return [_task(row, number, file) for number, row in enumerate(read_rows(file, _broken))]


def _task(row: Any, number: int, file: Path) -> DbTask:
    try:
        table, kind = row["table"], _list(row["type"])[0]
        columns = tuple(str(column["name"]) for column in table["table_info"]["columns"])
        rows = tuple(tuple(cells) for cells in table["table_info"]["rows"])
        found = DbTask(
            f"db-{number:04d}",
            text_of(row["description"]),
            text_of(row["add_description"]),
            text_of(kind),
            text_of(table["table_name"]),
            columns,
            rows,
            tuple(map(str, _list(row["label"]))),
            text_of(row["answer_md5"]) if kind in MUTATIONS else "",
        )
    except (KeyError, IndexError, TypeError) as error:
        raise _broken(file, f"task {number}: {fault_of(error)}") from error
    if not columns or len({name.lower() for name in columns}) < len(columns):
        raise _broken(file, f"task {number}: its table has no columns, or two of the same name")
    wrong = next((k for k, cells in enumerate(rows) if len(cells) != len(columns)), None)
    if wrong is not None:
        raise _broken(file, f"task {number}: row {wrong} has not as many cells as there are columns")
    odd = next((k for k, cells in enumerate(rows) if not all(isinstance(cell, _CELL) for cell in cells)), None)
    if odd is not None:
        raise _broken(file, f"task {number}: a cell of row {odd} is neither text nor a number")
    if not found.table:
        raise _broken(file, f"task {number}: its table has no name")
    return found


def _list(value: Any) -> list[Any]:
    """Returns a list; one value alone is taken for a list of it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} is no list")
    return value


def _broken(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} is no file of DBBench tasks.",
        why,
        "Each line is a JSON object with description, add_description, type, table and label, as AgentBench 0.2 has "
        "them.",
    )
