"""The agent benchmarks of a run: where their tasks come from, where they are played, and how they are scored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.at_hand import db_at_hand, db_tasks, os_at_hand, os_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import Sandbox


class AgentTask(Protocol):
    """A task with its group, whose accuracies the headline averages."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def group(self) -> str:
        """The kind that it is counted with."""
        ...


T = TypeVar("T", bound=AgentTask)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a benchmark's tasks are played.

    Attributes:
        name: what it is, for people.
        begin: returns a task's conversation at its beginning.
        check: raises a UserError when it cannot be used now.
    """

    name: str
    begin: Callable[[Any], Dialogue]
    check: Callable[[], object]


@dataclass(frozen=True, slots=True)
class AgentBenchmark:
    """An agent benchmark.

    Attributes:
        name: as in settings, results and tables.
        title: what it is, in a sentence for the report.
        headline: the metric by which variants are compared.
        groups: the kinds of tasks, in the tables' order.
        protocol: how an agent and the environment talk, in a few words.
        levels: between which scores it lies, in a sentence for the report.
        comparable: what its score can be compared with, in a sentence for the report.
        shared: messages at the beginning that are the same in all conversations.
        rounds: the most turns of a task.
        turns: turns of a task, in the mean, for the plan.
        prompt_tokens: tokens of the first prompt, in the mean, for the plan.
        task_seconds: what the environment takes for a task on one core, for the plan.
        tasks: returns all tasks that this machine has.
        environment: opens where they are played.
        at_hand: returns what this machine has of it. It raises a UserError for broken files.
        sandboxed: whether it needs a sandbox.
    """

    name: str
    title: str
    headline: str
    groups: tuple[str, ...]
    protocol: str
    levels: str
    comparable: str
    shared: int
    rounds: int
    turns: float
    prompt_tokens: int
    task_seconds: float
    tasks: Callable[[Config], Sequence[Any]]
    environment: Callable[[Config], Environment]
    at_hand: Callable[[Config], Availability]
    sandboxed: bool = False


def usable(config: Config) -> list[AgentBenchmark]:
    """Returns the benchmarks of the settings that can run here, in order; broken ones cannot."""
    return [one for name in config.agents.benchmarks if _items(one := agent_benchmark(name), config)]


def lacking(config: Config) -> dict[str, Availability]:
    """Returns what is missing of the settings' benchmarks, by name; those that can run are not in it.

    Raises:
        UserError: a file is broken, or a named one is not there.
    """
    found = {name: agent_benchmark(name).at_hand(config) for name in config.agents.benchmarks}
    return {name: had for name, had in found.items() if not had.usable}


def without_sandbox(config: Config) -> str:
    """Returns why no sandbox works here and how to get one; empty where one does. Nothing is made for it."""
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox

    try:
        _sandbox(config)
    except NoSandbox as error:
        return f"{error.problem} {error.fix}"
    return ""


def chosen_tasks(benchmark: AgentBenchmark, config: Config) -> list[Any]:
    """Returns the tasks that the settings ask for."""
    return spread(benchmark.tasks(config), config.agents.items)


def task_count(benchmark: AgentBenchmark, config: Config) -> int:
    """Returns how many tasks the settings ask for; 0 where there are none."""
    there = _items(benchmark, config)
    return min(there, config.agents.items or there)


def spread(tasks: Sequence[T], most: int | None) -> list[T]:
    """Returns at most `most` tasks in their order: the first of each group in turn, so that all groups are there."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        groups[task.group].append(number)
    by_turn = sorted((place, number) for numbers in groups.values() for place, number in enumerate(numbers))
    return [tasks[number] for number in sorted(number for _, number in by_turn[:most])]


def _items(benchmark: AgentBenchmark, config: Config) -> int:
    try:
        return benchmark.at_hand(config).items
    except UserError:
        return 0


@cache
def _nano_db() -> Sequence[Any]:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import nano_db_tasks

    return nano_db_tasks(NANO_DB_TASKS)


def _nano_db_environment(config: Config) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.db.choice import choose_databases
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import NanoDbConversation

    databases = choose_databases(config.agents.mysql)
    return Environment(databases.name, lambda task: NanoDbConversation(task, databases.open), databases.check)


def _dbbench_environment(config: Config) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.db.choice import choose_databases
    from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation

    databases = choose_databases(config.agents.mysql)
    return Environment(databases.name, lambda task: DbConversation(task, databases.open), databases.check)


def _nano_os_environment(config: Config) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.shell import Effect, NanoOsConversation

    sandbox, known = _sandbox(config), dict[str, tuple[Effect, ...]]()

    def begin(task: Any) -> Dialogue:
        return NanoOsConversation(task, sandbox.open, known)

    return Environment(sandbox.name, begin, lambda: _sandbox(config))


def _os_environment(config: Config) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import OsConversation

    sandbox = _sandbox(config)
    return Environment(sandbox.name, lambda task: OsConversation(task, sandbox.open), lambda: _sandbox(config))


def _sandbox(config: Config) -> Sandbox:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import choose

    kind = config.agents.sandbox
    return choose("" if kind == "auto" else kind, config.agents.root)


@cache
def _nano_os() -> Sequence[Any]:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.shell import nano_os_tasks

    return nano_os_tasks(NANO_OS_TASKS)


NANO_DB_TASKS, NANO_OS_TASKS, NANO_VERSION = 72, 24, "1"  # the version is raised when other tasks are drawn
AGENTS = (
    AgentBenchmark(
        name="nano_db",
        title="Database tasks of the nano world: one SQL statement that answers a question about a small table, or "
        "changes it. The statement is executed; it is right if it has the effect of the right one, also on a longer "
        "table that the agent has not seen",
        headline="solved",
        groups=("SELECT", "INSERT", "UPDATE"),
        protocol="one operation in AgentBench's form; after an error the agent may try again, at most 3 statements",
        levels="An agent that knows the answers solves every task (1); agents that are silent, loop or break the form "
        "solve none (0).",
        comparable="Its tasks are of the embedded nano world: the score says nothing about AgentBench.",
        shared=0,
        rounds=3,
        turns=1.5,
        prompt_tokens=70,
        task_seconds=0.03,
        tasks=lambda config: _nano_db(),
        environment=_nano_db_environment,
        at_hand=lambda config: Availability(
            NANO_DB_TASKS, "generated", NANO_VERSION, complete=True, published=NANO_DB_TASKS
        ),
    ),
    AgentBenchmark(
        name="nano_os",
        title="Shell tasks of the nano world: one command that shows something of a folder, or changes it. The command "
        "is run in a sandbox; it is right if it prints and leaves behind what a right one does",
        headline="solved",
        groups=("All tasks",),
        protocol="one command in AgentBench's form",
        levels="An agent that knows the answers solves every task (1); agents that are silent, loop or break the form "
        "solve none (0).",
        comparable="Its tasks are of the embedded nano world: the score says nothing about AgentBench.",
        shared=0,
        rounds=1,
        turns=1.0,
        prompt_tokens=40,
        task_seconds=0.25,
        tasks=lambda config: _nano_os(),
        environment=_nano_os_environment,
        at_hand=lambda config: Availability(
            NANO_OS_TASKS, "generated", NANO_VERSION, complete=True, published=NANO_OS_TASKS
        ),
        sandboxed=True,
    ),
    AgentBenchmark(
        name="dbbench",
        title="DBBench, the database part of AgentBench: questions about a table, or changes of one, by SQL",
        headline="overall_cat_accuracy",
        groups=("SELECT", "INSERT", "UPDATE"),
        protocol="AgentBench 0.2's text protocol, at most 15 operations, greedy",
        levels="An agent that knows the answers solves every task of the dev set (1); agents that are silent, loop or "
        "break the form solve none (0).",
        comparable="Published numbers depend on the protocol's version, the decoding, the rounds and the database: "
        "compare only with results that have the same.",
        shared=2,
        rounds=16,
        turns=4.0,
        prompt_tokens=420,
        task_seconds=0.05,
        tasks=db_tasks,
        environment=_dbbench_environment,
        at_hand=db_at_hand,
    ),
    AgentBenchmark(
        name="os_interaction",
        title="OS interaction, the shell part of AgentBench: questions about a Linux machine, and work on it",
        headline="accuracy",
        groups=("All tasks",),
        protocol="AgentBench 0.2's text protocol, at most 8 turns, greedy",
        levels="An agent that does what the tasks' examples do solves nearly all (1); agents that are silent or break "
        "the form solve none (0).",
        comparable="Published numbers come from Ubuntu images in Docker: compare only with results that have the same "
        "protocol, decoding, machine and tasks.",
        shared=6,
        rounds=8,
        turns=4.0,
        prompt_tokens=780,
        task_seconds=2.0,
        tasks=os_tasks,
        environment=_os_environment,
        at_hand=os_at_hand,
        sandboxed=True,
    ),
)
_BY_NAME = {benchmark.name: benchmark for benchmark in AGENTS}


def agent_benchmark(name: str) -> AgentBenchmark:
    """Returns the benchmark of this name."""
    return _BY_NAME[name]
