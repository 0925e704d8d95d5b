"""Which benchmark a file of agents' tasks is of, and where its tasks are played."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench import benchmark
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import Benchmark, BenchmarkTask
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import read_bfcl
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import read_tasks as read_db_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import read_tasks as read_os_tasks

KINDS = ("db", "os", "bfcl")
T = TypeVar("T", bound=BenchmarkTask)


@dataclass(frozen=True, slots=True)
class Options:
    """How tasks are played.

    Attributes:
        kind: `db`, `os` or `bfcl`; empty for what the file looks like.
        task: the only task to play; None for all.
        mysql: of DBBench, where the server's address is; None for SQLite.
        agentbench: of OS interaction, a checkout of AgentBench with the tasks' scripts.
        sandbox: of OS interaction, the kind of sandbox; empty for the best that is there.
        root: of OS interaction, the root files; empty for the best that are there.
    """

    kind: str = ""
    task: str | None = None
    mysql: str | None = None
    agentbench: Path | None = None
    sandbox: str = ""
    root: str = ""


def opened(paths: Sequence[Path], options: Options, say: Callable[[str], None]) -> Benchmark:
    """Returns the tasks of files with their environment, which has been tried.

    Raises:
        UserError: the tasks cannot be read, or there is no environment for them.
    """
    file, *more = paths
    kind = options.kind or kind_of(file)
    if kind == "bfcl":
        if options.mysql is not None:
            raise UserError("--mysql does not go with bfcl.", "BFCL needs no database.", "Leave it out.")
        return benchmark.bfcl(_only(read_bfcl(paths), options.task))
    if more:
        raise UserError("Only BFCL has several --tasks.", f"the second is {more[0]}", "Name one of them.")
    if kind == "db":
        tasks = _only(read_db_tasks(file), options.task)
        return benchmark.db_bench(tasks, *_database(options.mysql))
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import choose

    chosen = _only(read_os_tasks(file, options.agentbench), options.task)
    return benchmark.os_interaction(chosen, choose(options.sandbox, options.root, say=say))


def kind_of(file: Path) -> str:
    """Returns what the files look like: `bfcl` by names or functions in tasks, `os` for other folders.

    Of other files it is `os` where the first task says how it is evaluated, and `db` elsewhere.
    """
    if file.is_dir():
        return "bfcl" if any(file.glob("BFCL_v*.json*")) else "os"
    try:
        text = file.read_text(encoding="utf-8").lstrip()
    except (OSError, UnicodeDecodeError):
        return "db"  # whose reader says what is wrong
    try:
        whole: Any = json.loads(text)
    except json.JSONDecodeError:
        try:
            whole = json.loads(text.partition("\n")[0])
        except json.JSONDecodeError:
            return "db"
    first = whole[0] if isinstance(whole, list) and whole else whole
    if isinstance(first, dict) and "function" in first and "question" in first:
        return "bfcl"
    return "os" if isinstance(first, dict) and "evaluation" in first and "table" not in first else "db"


def _database(mysql: str | None) -> tuple[OpenDatabase, str]:
    """Returns what opens a task's database, and its name."""
    if mysql is None:
        from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase

        return EmbeddedDatabase, "SQLite that answers as MySQL"
    from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress

    address = ServerAddress.given(mysql)
    version = address.check()
    return address.database, f"{'MariaDB' if 'maria' in version.lower() else 'MySQL'} {version}"


def _only(tasks: Sequence[T], wanted: str | None) -> Sequence[T]:
    if wanted is None:
        return tasks
    found = [task for task in tasks if task.id == wanted]
    if not found:
        raise UserError(f"There is no task {wanted}.", f"they are {tasks[0].id} to {tasks[-1].id}", "Name one of them.")
    return found
