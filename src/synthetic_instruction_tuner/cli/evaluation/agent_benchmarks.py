"""What ``sit agent-eval`` can play: a benchmark's tasks in one of its forms, with the names of its results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import BfclConversation
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import CATEGORIES, read_bfcl
from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import ROUNDS, DbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import read_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.db.tool_conversation import DbToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.tools.template import ToolTemplate

Benchmark = Literal["dbbench", "bfcl"]
Form = Literal["auto", "text", "tools"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A benchmark's tasks, and how they are played.

    Attributes:
        name: the benchmark, in one of its forms: their results are never mixed.
        protocol: whose protocol it is.
        tool_protocol: the same where the model calls tools.
        metric: the headline's name in files.
        mean: the headline's name in the table.
        environment: where the agent acts.
        groups: the kinds of tasks.
        tasks: what is played.
        begin: returns a task's conversation, with tools where the form has them.
        limits: what else conversations depend on.
        common: how many messages at a conversation's beginning are the same for all tasks.
    """

    name: str
    protocol: str
    tool_protocol: str
    metric: str
    mean: str
    environment: str
    groups: Sequence[str]
    tasks: Sequence[Any]
    begin: Callable[[Any, ToolTemplate | None], Dialogue]
    limits: dict[str, Any]
    common: int = 0

    @property
    def digest(self) -> str:
        """A hash of the tasks."""
        return hashlib.sha256(repr(self.tasks).encode()).hexdigest()

    def by_tools(self) -> Chosen:
        """Returns the same by calls of tools, whose results have names of their own."""
        return replace(
            self, name=f"{self.name}, tool calls", protocol=self.tool_protocol, metric=f"{self.metric}_tool_calls"
        )


def choose(name: Benchmark, files: Sequence[Path], mysql: str | None) -> Chosen:
    """Returns what is to be played, in its form as text.

    Args:
        name: the benchmark.
        files: its tasks.
        mysql: a server's address, or the variable that holds it; None for SQLite.

    Raises:
        UserError: the tasks cannot be read, or the server is away.
    """
    return _bfcl(files, mysql) if name == "bfcl" else _dbbench(files, mysql)


def only(chosen: Chosen, wanted: str) -> list[Any]:
    """Returns the task of this id.

    Raises:
        UserError: there is none.
    """
    found = [task for task in chosen.tasks if task.id == wanted]
    if not found:
        first, last = chosen.tasks[0].id, chosen.tasks[-1].id
        raise UserError(f"There is no task {wanted}.", f"they are {first} to {last}", "Name one of them.")
    return found


def _dbbench(files: Sequence[Path], mysql: str | None) -> Chosen:
    if len(files) > 1:
        raise UserError("DBBench is one file of tasks.", f"there are {len(files)} --tasks", "Name one of them.")
    tasks = read_tasks(files[0])
    open_database, environment = _environment(mysql)

    def begin(task: Any, way: ToolTemplate | None) -> Dialogue:
        return DbToolConversation(task, open_database, way.read) if way else DbConversation(task, open_database)

    return Chosen(
        "DBBench",
        "AgentBench 0.2, text",
        "AgentBench FC's tools",
        "overall_cat_accuracy",
        "Mean of the three",
        environment,
        ("SELECT", "INSERT", "UPDATE"),
        tasks,
        begin,
        {"rounds": ROUNDS},
        common=2,
    )


def _bfcl(files: Sequence[Path], mysql: str | None) -> Chosen:
    if mysql is not None:
        raise UserError("--mysql does not go with bfcl.", "BFCL needs no database.", "Leave it out.")
    tasks = read_bfcl(files)
    present = {task.category for task in tasks}
    return Chosen(
        "BFCL",
        "single turns, calls as text",
        "single turns, calls of tools",
        "mean_category_accuracy",
        "Mean of the categories",
        "no environment",
        [name for name in CATEGORIES if name in present],
        tasks,
        lambda task, way: BfclConversation(task, way.read if way else None),
        {},
    )


def _environment(mysql: str | None) -> tuple[OpenDatabase, str]:
    """Returns what opens a task's database, and its name."""
    if mysql is None:
        from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase

        return EmbeddedDatabase, "SQLite that answers as MySQL"
    from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress

    address = ServerAddress.given(mysql)
    version = address.check()
    return address.database, f"{'MariaDB' if 'maria' in version.lower() else 'MySQL'} {version}"
