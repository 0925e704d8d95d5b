"""A set of tasks that is ready to be played: what they are, where they are played, and how they are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import BfclConversation
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import CATEGORIES, BfclTask
from synthetic_instruction_tuner.evaluation.agent_bench.db import conversation as db
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.db.tool_conversation import DbToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system import conversation as system
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import OsTask, playable
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tool_conversation import OsToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import Sandbox
from synthetic_instruction_tuner.evaluation.agent_bench.tool_conversation import Reader

PROTOCOL, TOOL_PROTOCOL = "AgentBench 0.2, text", "AgentBench FC's tools"


class BenchmarkTask(Protocol):
    """A task of any benchmark."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def kind(self) -> str:
        """What kind of task it is, in its benchmark's words."""
        ...

    @property
    def group(self) -> str:
        """The group whose accuracy it counts for."""
        ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Tasks and their environment.

    Attributes:
        name: the benchmark's.
        metric: the headline's name in results.
        headline: the headline's name in tables; empty where it is the only group's accuracy.
        groups: whose accuracies the headline is the mean of.
        tasks: what is played.
        environment: where they are played, in words.
        key: what of the environment conversations depend on.
        rounds: the most actions in a task.
        shared: how many messages at the beginning are the same in all conversations.
        begin: returns a task's conversation at its beginning.
        begin_with_tools: the same for a model that calls tools.
        left_out: tasks that cannot be played here.
        protocol, tool_protocol: how the model acts, in words.
        by_tools: whether it calls tools.
    """

    name: str
    metric: str
    headline: str
    groups: tuple[str, ...]
    tasks: Sequence[BenchmarkTask]
    environment: str
    key: str
    rounds: int
    shared: int
    begin: Callable[[Any], Dialogue] = field(repr=False)
    begin_with_tools: Callable[[Any, Reader], Dialogue] = field(repr=False)
    left_out: tuple[str, ...] = ()
    protocol: str = PROTOCOL
    tool_protocol: str = TOOL_PROTOCOL
    by_tools: bool = False

    def with_tools(self, read: Reader) -> Benchmark:
        """Returns the same tasks for a model that calls tools; its results have names of their own.

        Args:
            read: reads the model's turns.
        """
        begin = self.begin_with_tools
        return replace(
            self,
            name=f"{self.name}, tool calls",
            metric=f"{self.metric}_tool_calls",
            protocol=self.tool_protocol,
            shared=min(self.shared, 2),  # the tools, and what the model is told of them
            begin=lambda task: begin(task, read),
            by_tools=True,
        )


def db_bench(tasks: Sequence[DbTask], open_database: OpenDatabase, environment: str) -> Benchmark:
    """Returns DBBench's tasks in a database.

    Args:
        tasks: what is played.
        open_database: makes a task's database.
        environment: what it is, in words of which the first is its kind.
    """
    return Benchmark(
        name="DBBench",
        metric="overall_cat_accuracy",
        headline="Mean of the three",
        groups=("SELECT", "INSERT", "UPDATE"),
        tasks=tasks,
        environment=environment,
        key=environment.partition(" ")[0],
        rounds=db.ROUNDS,
        shared=2,
        begin=lambda task: db.DbConversation(task, open_database),
        begin_with_tools=lambda task, read: DbToolConversation(task, open_database, read),
    )


def os_interaction(tasks: Sequence[OsTask], sandbox: Sandbox) -> Benchmark:
    """Returns the tasks of OS interaction in a sandbox; those whose scripts are not there are left out.

    Raises:
        UserError: none is left.
    """
    left = playable(tasks)
    if not left:
        raise UserError(
            "None of these tasks can be played.",
            f"their scripts are not there, such as {tasks[0].lacks[0]}",
            "Name a checkout of AgentBench, which has them: --agentbench FOLDER.",
        )
    return Benchmark(
        name="OS interaction",
        metric="accuracy",
        headline="",
        groups=(left[0].group,),
        tasks=left,
        environment=sandbox.name,
        key=sandbox.key,
        rounds=system.ROUNDS,
        shared=len(system.prompt()) - 1,
        begin=lambda task: system.OsConversation(task, sandbox.open),
        begin_with_tools=lambda task, read: OsToolConversation(task, sandbox.open, read),
        left_out=tuple(task.id for task in tasks if task.lacks),
    )


def bfcl(tasks: Sequence[BfclTask]) -> Benchmark:
    """Returns BFCL's tasks, which have one turn and no environment."""
    present = {task.category for task in tasks}
    return Benchmark(
        name="BFCL",
        metric="mean_category_accuracy",
        headline="Mean of the categories",
        groups=tuple(name for name in CATEGORIES if name in present),
        tasks=tasks,
        environment="none",
        key="none",
        rounds=1,
        shared=0,
        begin=BfclConversation,
        begin_with_tools=BfclConversation,
        protocol="BFCL's single turns, calls as text",
        tool_protocol="BFCL's single turns, calls of tools",
    )
