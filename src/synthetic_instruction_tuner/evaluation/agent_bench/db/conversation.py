"""The conversation of a DBBench task: AgentBench's text protocol, version 0.2.

The agent thinks aloud and then operates or answers. Of an operation the first SQL block is executed; the answer is the
line behind `Final Answer:`. A change is judged by the table, whatever the agent says at the end.
"""

from __future__ import annotations

import re
from importlib.resources import files

from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import Database, OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import is_right
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.records import Message

ROUNDS = 15  # operations in a task

_ACTION = re.compile(r"Action: (.*?)\n")
_BLOCK, _BLOCK_END = "```sql\n", "\n```"
_ANSWER = re.compile(r"\nFinal Answer:(.*)")


class DbConversation:
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_database: makes the task's database.
        rounds: the most operations.
    """

    def __init__(self, task: DbTask, open_database: OpenDatabase, rounds: int = ROUNDS) -> None:
        self.outcome: Outcome | None = None
        self.messages = [
            Message("user", instructions()),
            Message("assistant", "Ok."),
            Message("user", f"{task.question}\n{task.about}"),
        ]
        self._task, self._most, self._operations = task, rounds, 0
        self._database: Database = open_database(task)

    def take(self, text: str) -> None:
        """Takes the agent's turn: executes its statement, or judges its answer."""
        self.messages.append(Message("assistant", text))
        if _acts(text) and self._operations < self._most:
            if (statement := operation(text)) is not None:
                self._operations += 1
                self.messages.append(Message("user", self._database.execute(statement)))
            else:
                self._end(End.INVALID_ACTION, "", "an operation without a block of SQL")
        elif answer := _ANSWER.search(text):
            self._end(End.COMPLETED, answer[1])
        elif self._operations >= self._most:
            self._end(End.TASK_LIMIT, "", f"{self._most} operations without a final answer")
        else:
            self._end(End.INVALID_ACTION, "", "neither an operation nor a final answer")

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        self._end(End.CONTEXT_OVERFLOW, "", note)

    def close(self) -> None:
        """Removes the task's database."""
        self._database.close()

    def _end(self, end: End, answer: str, note: str = "") -> None:
        if self._task.changes:
            answer = self._database.table_hash()
            right = answer == self._task.answer_md5
        else:  # an empty answer is never right here, and neither is one that was not given
            right = end is End.COMPLETED and is_right(self._task, answer)
        self.outcome = Outcome(end, right, answer, note)


def operation(text: str) -> str | None:
    """Returns the statement of an agent's turn, on one line; None if it is no operation, or has no block of SQL."""
    start = text.find(_BLOCK) + len(_BLOCK)
    end = text.find(_BLOCK_END, start) if start >= len(_BLOCK) else -1
    return text[start:end].strip().replace("\n", " ") if _acts(text) and end >= 0 else None


def _acts(text: str) -> bool:
    """Whether the first action is an operation; what follows the last line break is none."""
    action = _ACTION.search(text, 0, text.rfind("\n") + 1)
    return action is not None and action[1] == "Operation"


def instructions() -> str:
    """Returns the protocol's first message (AgentBench 0.2, Apache-2.0), with its line breaks around it."""
    return (files(__package__) / "prompt.txt").read_text(encoding="utf-8")
