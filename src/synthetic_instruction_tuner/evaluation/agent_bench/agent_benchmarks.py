"""The agent benchmarks: what each is, where its tasks come from, and where they are played."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.at_hand import (
    bfcl_at_hand,
    bfcl_tasks,
    db_at_hand,
    db_tasks,
    os_at_hand,
    os_tasks,
)
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import (
    AgentBenchmark,
    Environment,
    Form,
    Surroundings,
)
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import CATEGORIES
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue
from synthetic_instruction_tuner.evaluation.agent_bench.task import spread
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import Sandbox
    from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Reader


def usable(config: Config) -> list[AgentBenchmark]:
    """Returns the benchmarks of the settings that can run here, in order; broken ones cannot.

    With `agents.form=tools` they have the form by calls of tools. With `auto` a model's chat template decides later.
    """
    found = [one for name in config.agents.benchmarks if _items(one := agent_benchmark(name), config)]
    return [one.with_tools() for one in found] if config.agents.form == "tools" else found


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
        _sandbox(Surroundings.of(config))
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


def _items(benchmark: AgentBenchmark, config: Config) -> int:
    try:
        return benchmark.at_hand(config).items
    except UserError:
        return 0


def _nano_db_environment(wanted: Surroundings) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.db.choice import choose_databases
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import NanoDbConversation

    found = choose_databases(wanted.mysql)
    return Environment(found.name, found.kind, lambda task, _: NanoDbConversation(task, found.open), found.check)


def _dbbench_environment(wanted: Surroundings) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.db.choice import choose_databases
    from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation
    from synthetic_instruction_tuner.evaluation.agent_bench.db.tool_conversation import DbToolConversation

    found = choose_databases(wanted.mysql)

    def begin(task: Any, read: Reader | None) -> Dialogue:
        return DbToolConversation(task, found.open, read) if read else DbConversation(task, found.open)

    return Environment(found.name, found.kind, begin, found.check)


def _nano_os_environment(wanted: Surroundings) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.shell import Effect, NanoOsConversation

    sandbox, known = _sandbox(wanted), dict[str, tuple[Effect, ...]]()

    def begin(task: Any, _: Reader | None) -> Dialogue:
        return NanoOsConversation(task, sandbox.open, known)

    return Environment(sandbox.name, sandbox.key, begin, lambda: _sandbox(wanted))


def _os_environment(wanted: Surroundings) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import OsConversation
    from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tool_conversation import OsToolConversation

    sandbox = _sandbox(wanted)

    def begin(task: Any, read: Reader | None) -> Dialogue:
        return OsToolConversation(task, sandbox.open, read) if read else OsConversation(task, sandbox.open)

    return Environment(sandbox.name, sandbox.key, begin, lambda: _sandbox(wanted))


def _bfcl_environment(_: Surroundings) -> Environment:
    from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import BfclConversation

    return Environment("no environment", "none", BfclConversation)


def _sandbox(wanted: Surroundings) -> Sandbox:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import choose

    return choose(wanted.sandbox, wanted.root, say=wanted.say)


@cache
def _nano_db() -> Sequence[Any]:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import nano_db_tasks

    return nano_db_tasks(NANO_DB_TASKS)


@cache
def _nano_os() -> Sequence[Any]:
    from synthetic_instruction_tuner.evaluation.agent_bench.nano.shell import nano_os_tasks

    return nano_os_tasks(NANO_OS_TASKS)


def _generated(count: int) -> Availability:
    return Availability(count, "generated", NANO_VERSION, complete=True, published=count)


NANO_DB_TASKS, NANO_OS_TASKS, NANO_VERSION = 72, 24, "1"  # the version is raised when other tasks are drawn
AGENTS = (
    AgentBenchmark(
        name="nano_db",
        label="Nano databases",
        title="Database tasks of the nano world: one SQL statement that answers a question about a small table, or "
        "changes it. The statement is executed; it is right if it has the effect of the right one, also on a longer "
        "table that the agent has not seen",
        headline="solved",
        mean="Mean of the three",
        groups=("SELECT", "INSERT", "UPDATE"),
        text=Form(
            "one operation in AgentBench's form; after an error the agent may try again, at most 3 statements",
            rounds=3,
            shared=0,
            turns=1.5,
            prompt_tokens=70,
        ),
        tools=None,
        levels="An agent that knows the answers solves every task (1); agents that are silent, loop or break the form "
        "solve none (0).",
        comparable="Its tasks are of the embedded nano world: the score says nothing about AgentBench.",
        task_seconds=0.03,
        tasks=lambda config: _nano_db(),
        environment=_nano_db_environment,
        at_hand=lambda config: _generated(NANO_DB_TASKS),
    ),
    AgentBenchmark(
        name="nano_os",
        label="Nano shell",
        title="Shell tasks of the nano world: one command that shows something of a folder, or changes it. The command "
        "is run in a sandbox; it is right if it prints and leaves behind what a right one does",
        headline="solved",
        mean="",
        groups=("All tasks",),
        text=Form("one command in AgentBench's form", rounds=1, shared=0, turns=1.0, prompt_tokens=40),
        tools=None,
        levels="An agent that knows the answers solves every task (1); agents that are silent, loop or break the form "
        "solve none (0).",
        comparable="Its tasks are of the embedded nano world: the score says nothing about AgentBench.",
        task_seconds=0.25,
        tasks=lambda config: _nano_os(),
        environment=_nano_os_environment,
        at_hand=lambda config: _generated(NANO_OS_TASKS),
        sandboxed=True,
    ),
    AgentBenchmark(
        name="dbbench",
        label="DBBench",
        title="DBBench, the database part of AgentBench: questions about a table, or changes of one, by SQL",
        headline="overall_cat_accuracy",
        mean="Mean of the three",
        groups=("SELECT", "INSERT", "UPDATE"),
        text=Form(
            "AgentBench 0.2's text protocol, at most 15 operations, greedy",
            rounds=16,
            shared=2,
            turns=4.0,
            prompt_tokens=420,
        ),
        tools=Form(
            "AgentBench FC's tools, at most 15 turns, greedy", rounds=15, shared=2, turns=4.0, prompt_tokens=450
        ),
        levels="An agent that knows the answers solves every task of the dev set (1); agents that are silent, loop or "
        "break the form solve none (0).",
        comparable="Published numbers depend on the protocol's version, the decoding, the rounds and the database: "
        "compare only with results that have the same.",
        task_seconds=0.05,
        tasks=db_tasks,
        environment=_dbbench_environment,
        at_hand=db_at_hand,
    ),
    AgentBenchmark(
        name="os_interaction",
        label="OS interaction",
        title="OS interaction, the shell part of AgentBench: questions about a Linux machine, and work on it",
        headline="accuracy",
        mean="",
        groups=("All tasks",),
        text=Form(
            "AgentBench 0.2's text protocol, at most 8 turns, greedy", rounds=8, shared=6, turns=4.0, prompt_tokens=780
        ),
        tools=Form("AgentBench FC's tools, at most 8 turns, greedy", rounds=8, shared=2, turns=4.0, prompt_tokens=480),
        levels="An agent that does what the tasks' examples do solves nearly all (1); agents that are silent or break "
        "the form solve none (0).",
        comparable="Published numbers come from Ubuntu images in Docker: compare only with results that have the same "
        "protocol, decoding, machine and tasks.",
        task_seconds=2.0,
        tasks=os_tasks,
        environment=_os_environment,
        at_hand=os_at_hand,
        sandboxed=True,
    ),
    AgentBenchmark(
        name="bfcl",
        label="BFCL",
        title="BFCL, the Berkeley Function-Calling Leaderboard: its categories of one turn",
        headline="mean_category_accuracy",
        mean="Mean of the categories",
        groups=CATEGORIES,
        text=Form("BFCL's single turns, calls as text", rounds=1, shared=0, turns=1.0, prompt_tokens=500),
        tools=Form("BFCL's single turns, calls of tools", rounds=1, shared=0, turns=1.0, prompt_tokens=500),
        levels="The right answers solve every task (1).",
        comparable="It is not BFCL's overall score, which weighs categories that are not here.",
        task_seconds=0.001,
        tasks=bfcl_tasks,
        environment=_bfcl_environment,
        at_hand=bfcl_at_hand,
    ),
)
_BY_NAME = {one.name: one for benchmark in AGENTS for one in (benchmark, benchmark.with_tools())}


def agent_benchmark(name: str) -> AgentBenchmark:
    """Returns the benchmark of this name, which may be that of its form by calls of tools."""
    return _BY_NAME[name]
