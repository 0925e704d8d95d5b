"""A DBBench task by calls of tools: AgentBench's function-calling version.

It differs from the text protocol in more than its form: a change counts only once an answer has been handed in, and
answers are compared with more tolerance. Its accuracy is a metric of its own.
"""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.db.tolerant_scoring import is_about_right
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Action, Reader, ToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.tools import DB_TOOLS
from synthetic_instruction_tuner.records import Message

ROUNDS = 15  # turns in a task
INSTRUCTIONS = """\
You answer questions about a table in a MySQL database, or change the table, by calling tools.
Before each call, say what you think. Run one SQL statement at a time with execute_sql, written in one line, and read \
what the database answers; it is raw and may be cut.
When you are sure, hand in the answer with commit_final_answer: its values exactly as the database has them, without \
further words. After a change of the table the answer may be anything, but it must be handed in.
Whatever you only write, without calling a tool, does not count."""


class DbToolConversation(ToolConversation):
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_database: makes the task's database.
        read: reads the agent's turns.
        rounds: the most turns.
    """

    def __init__(self, task: DbTask, open_database: OpenDatabase, read: Reader, rounds: int = ROUNDS) -> None:
        self._task, self._database = task, open_database(task)
        opening = [Message("system", INSTRUCTIONS), Message("user", f"{task.about}\nQuestion: {task.question}")]
        actions: dict[str, Action] = {"execute_sql": self._executed, "commit_final_answer": self._committed}
        super().__init__(read, DB_TOOLS, opening, actions, rounds, self._database.close)

    def _executed(self, query: Any) -> str:
        return self._database.execute(str(query).strip().replace("\n", " "))

    def _committed(self, answers: Any) -> Outcome:
        if self._task.changes:
            found = self._database.table_hash()
            return Outcome(End.COMPLETED, found == self._task.answer_md5, found)
        shown = answers if isinstance(answers, str) else str(answers)
        return Outcome(End.COMPLETED, is_about_right(self._task.label, answers), shown)
