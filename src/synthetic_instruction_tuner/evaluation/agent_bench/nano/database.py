"""One step on a database: a table and a goal from the nano world's held-out split, judged by what the statement does.

The nano models know the form of a turn (a thought, `Action: Operation`, a block of SQL) and one step. So a task ends
with the first statement that the database accepts. It is right if it has the effect of the right one, on the table that
the agent was shown and on a longer one with the same columns, where a statement that was right by luck is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import operation
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import Database, OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.nano.world.families.sql_agent import NUMERIC, DatabaseAgent
from synthetic_instruction_tuner.records import Message

NAME = "nano_db"
GROUPS = ("SELECT", "INSERT", "UPDATE")
ROUNDS = 3  # statements in a task: after an error the agent may try again
_FAMILY = DatabaseAgent()
_FAULT = re.compile(r"\d+ \(\w{5}\): ")


@dataclass(frozen=True, slots=True)
class NanoDbTask:
    """One task.

    Attributes:
        id: such as ``nano_db-0042``.
        prompt: what the agent is asked, with the whole table.
        answer: the turn of an agent that knows the answer.
        statement: the right statement.
        shown: the table that the agent is shown.
        longer: the same table with more rows.
    """

    id: str
    prompt: str
    answer: str
    statement: str
    shown: DbTask
    longer: DbTask

    @property
    def kind(self) -> str:
        """The same."""
        return self.shown.kind

    @property
    def group(self) -> str:
        """``SELECT``, ``INSERT`` or ``UPDATE``."""
        return self.shown.group


def nano_db_tasks(count: int) -> list[NanoDbTask]:
    """Returns different tasks of the held-out split, one of each group in turn; fewer are a prefix of more."""
    rng, found, seen = Random(NAME), list[NanoDbTask](), set[str]()
    while len(found) < count:
        drawn = _FAMILY.draw(rng, "eval")
        parsed = _FAMILY.parse(drawn.instruction)
        if parsed is None or drawn.key in seen:
            continue
        slots, _ = parsed
        statement = operation(drawn.response) or ""
        kind = statement.split()[0]
        if kind != GROUPS[len(found) % len(GROUPS)]:
            continue
        seen.add(drawn.key)
        name = f"{NAME}-{len(found):04d}"
        columns = tuple(slots["columns"].split(", "))
        numbers = tuple(column for column in columns if column in NUMERIC)
        shown, longer = (
            DbTask(name, drawn.instruction, "", kind, slots["table"], columns, rows, (statement,), numbers=numbers)
            for rows in _FAMILY.worlds(slots)
        )
        found.append(NanoDbTask(name, drawn.instruction, drawn.response, statement, shown, longer))
    return found


class NanoDbConversation:
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_database: makes a database.
    """

    def __init__(self, task: NanoDbTask, open_database: OpenDatabase) -> None:
        self.outcome: Outcome | None = None
        self.messages = [Message("user", task.prompt)]
        self._task, self._open, self._tried = task, open_database, 0
        self._database: Database = open_database(task.shown)

    def take(self, text: str) -> None:
        """Takes the agent's turn: executes its statement, and judges it unless the database refuses it."""
        self.messages.append(Message("assistant", text))
        statement = operation(text)
        if statement is None:
            self._end(End.INVALID_ACTION, note="no operation with a block of SQL")
            return
        self._tried += 1
        result = self._database.execute(statement)
        self.messages.append(Message("user", result))
        if not _FAULT.match(result):
            self._end(End.COMPLETED, self._is_right(statement, result), statement)
        elif self._tried >= ROUNDS:
            self._end(End.TASK_LIMIT, answer=statement, note=f"the database refused {ROUNDS} statements")

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        self._end(End.CONTEXT_OVERFLOW, note=note)

    def close(self) -> None:
        """Removes the task's database."""
        self._database.close()

    def _is_right(self, statement: str, result: str) -> bool:
        given = _rows(result), self._database.table_hash()
        task = self._task
        return given == self._effect(task.shown, task.statement) and self._effect(
            task.longer, statement
        ) == self._effect(task.longer, task.statement)

    def _effect(self, table: DbTask, statement: str) -> tuple[list[str], str]:
        """Returns what a statement selects from a table, whatever the order, and the hash of the table after it."""
        database = self._open(table)
        try:
            return _rows(database.execute(statement)), database.table_hash()
        finally:
            database.close()

    def _end(self, end: End, right: bool = False, answer: str = "", note: str = "") -> None:
        self.outcome = Outcome(end, right, answer, note)


def _rows(result: str) -> list[str]:
    return sorted(result[2:-2].split("), ("))
