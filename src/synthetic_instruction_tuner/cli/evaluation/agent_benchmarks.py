"""Which benchmark a file of agents' tasks is of, and where its tasks are played."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Environment, Surroundings
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import read_bfcl
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import read_tasks as read_db_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import read_tasks as read_os_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import with_scripts
from synthetic_instruction_tuner.evaluation.agent_bench.task import AgentTask

KINDS = ("db", "os", "bfcl")
NAMES = {"db": "dbbench", "os": "os_interaction", "bfcl": "bfcl"}
T = TypeVar("T", bound=AgentTask)


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


@dataclass(frozen=True, slots=True)
class TaskSet:
    """Tasks of files that are ready to be played.

    Attributes:
        benchmark: what they are of, in the form in which they are played.
        tasks: what is played.
        environment: where.
        left_out: tasks that cannot be played here.
    """

    benchmark: AgentBenchmark
    tasks: Sequence[AgentTask]
    environment: Environment
    left_out: tuple[str, ...] = ()


def opened(paths: Sequence[Path], options: Options, say: Callable[[str], None]) -> TaskSet:
    """Returns the tasks of files with their environment, which has been tried.

    Raises:
        UserError: the tasks cannot be read, or there is no environment for them.
    """
    file, *more = paths
    kind = options.kind or kind_of(file)
    if more and kind != "bfcl":
        raise UserError("Only BFCL has several --tasks.", f"the second is {more[0]}", "Name one of them.")
    if kind == "bfcl" and options.mysql is not None:
        raise UserError("--mysql does not go with bfcl.", "BFCL needs no database.", "Leave it out.")
    benchmark, left_out = agent_benchmark(NAMES[kind]), tuple[str, ...]()
    tasks: Sequence[AgentTask]
    if kind == "db":
        tasks = _only(read_db_tasks(file), options.task)
    elif kind == "os":
        tasks, left_out = with_scripts(_only(read_os_tasks(file, options.agentbench), options.task))
    else:
        tasks = _only(read_bfcl(paths), options.task)
        present = {task.group for task in tasks}
        benchmark = replace(benchmark, groups=tuple(name for name in benchmark.groups if name in present))
    surroundings = Surroundings(options.mysql, options.sandbox, options.root, say)
    return TaskSet(benchmark, tasks, benchmark.environment(surroundings), left_out)


def kind_of(file: Path) -> str:
    """Returns what the files look like: `bfcl` by names or functions in tasks, `os` for other folders.

    Of other files it is `os` where the first task says how it is evaluated, and `db` elsewhere.
    """
    if file.is_dir():
        return "bfcl" if any(file.glob("BFCL_v*.json*")) else "os"
    try:
        text = file.read_text(encoding="utf-8-sig").lstrip()
    except (OSError, UnicodeDecodeError):
        return "db"  # whose reader says what is wrong
    try:
        whole: Any = json.loads(text)
    except (ValueError, RecursionError):
        try:
            whole = json.loads(text.partition("\n")[0])
        except (ValueError, RecursionError):
            return "db"
    first = whole[0] if isinstance(whole, list) and whole else whole
    if isinstance(first, dict) and "function" in first and "question" in first:
        return "bfcl"
    return "os" if isinstance(first, dict) and "evaluation" in first and "table" not in first else "db"


def _only(tasks: Sequence[T], wanted: str | None) -> Sequence[T]:
    if wanted is None:
        return tasks
    found = [task for task in tasks if task.id == wanted]
    if not found:
        raise UserError(f"There is no task {wanted}.", f"they are {tasks[0].id} to {tasks[-1].id}", "Name one of them.")
    return found
