"""What a database does for a task: it executes one statement at a time and prints what MySQL's connector would."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask

SHOWN = 800  # characters of a result that the agent sees


class Database(Protocol):
    """A task's database, with its table."""

    def execute(self, sql: str) -> str:
        """Executes one statement and returns its rows, or its error, as the agent sees them: cut at 800 characters.

        Raises:
            EnvironmentFailed: the database is gone.
        """
        ...

    def table_hash(self) -> str:
        """Returns the hash of the task's table in the form of `DbTask.answer_md5`, or the error that prevents it.

        Raises:
            EnvironmentFailed: the database is gone.
        """
        ...

    def close(self) -> None:
        """Removes the database."""
        ...


OpenDatabase = Callable[[DbTask], Database]


def printed(rows: Sequence[Sequence[Any]]) -> str:
    """Returns rows as Python prints a list of tuples, which is what the agent sees."""
    return cut(str([tuple(row) for row in rows]))


def cut(text: str) -> str:
    """Returns a result's first 800 characters, and that it was cut."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}[TRUNCATED]"


def first_rows(rows: Any) -> list[tuple[Any, ...]]:
    """Returns as many rows as can be seen: of a result without end, no more is read."""
    found: list[tuple[Any, ...]] = []
    length = 0
    for row in rows:
        found.append(tuple(row))
        length += len(str(found[-1])) + 2
        if length > SHOWN + 2:
            break
    return found


def quoted(name: str) -> str:
    """Returns a name as SQL has it, in backticks."""
    return "`" + name.replace("`", "``") + "`"


def used_database(sql: str) -> str | None:
    """Returns the database that a statement USE names; None for other statements."""
    found = re.fullmatch(r"(?is)\s*use\s+(`[^`]+`|\S+?)\s*;?\s*", sql)
    return found[1].strip("`") if found else None
