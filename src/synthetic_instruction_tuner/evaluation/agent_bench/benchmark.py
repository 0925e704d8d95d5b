"""What an agent benchmark is: its tasks, the forms in which an agent can act in it, and where the tasks are played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.config.sections.agents import TOOL_CALLS
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, End, Outcome
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Reader


@dataclass(frozen=True, slots=True)
class Form:
    """How an agent acts: by text, or by calls of tools.

    Attributes:
        protocol: how an agent and the environment talk, in a few words.
        rounds: the most turns of a task.
        shared: messages at the beginning that are the same in all conversations.
        turns: turns of a task, in the mean, for the plan.
        prompt_tokens: tokens of the first prompt, in the mean, for the plan.
    """

    protocol: str
    rounds: int
    shared: int
    turns: float
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Environment:
    """Where tasks are played.

    Attributes:
        name: what it is, for people.
        key: what of it conversations depend on.
        begin: returns a task's conversation at its beginning. With a reader of turns the agent acts by calls of tools.
        check: raises a UserError when it cannot be used now.
    """

    name: str
    key: str
    begin: Callable[[Any, Reader | None], Dialogue]
    check: Callable[[], object] = lambda: None

    def require(self, what: str, outcome: Outcome | None) -> None:
        """Stops where the environment has broken a task because it is gone, so that the task is not taken for played.

        Args:
            what: whose environment it is.
            outcome: how the task ended; None while it goes on.

        Raises:
            RunError: it is gone.
        """
        if outcome is None or outcome.end is not End.ENVIRONMENT_ERROR:
            return
        try:
            self.check()
        except UserError as error:
            raise RunError(
                f"The environment of {what} is gone: {self.name}.",
                error.cause,
                "Start it again and repeat the command: what has been kept is not played again.",
            ) from error


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the user wants environments to be.

    Attributes:
        mysql: of databases, where a server's address is; None for SQLite.
        sandbox: the kind of sandbox; empty for the best that is there.
        root: the files of its machine; empty for the best that are there.
        say: is told what takes long.
    """

    mysql: str | None = None
    sandbox: str = ""
    root: str = ""
    say: Callable[[str], None] = lambda text: None

    @classmethod
    def of(cls, config: Config) -> Surroundings:
        """Returns what the settings of agents say."""
        agents = config.agents
        return cls(agents.mysql, "" if agents.sandbox == "auto" else agents.sandbox, agents.root)


@dataclass(frozen=True, slots=True)
class AgentBenchmark:
    """An agent benchmark, in one of its forms.

    Attributes:
        name: as in settings, results and tables.
        label: what people call it.
        title: what it is, in a sentence for the report.
        headline: the metric by which models are compared.
        mean: what the headline is the mean of, for tables; empty where there is one group.
        groups: the kinds of tasks whose accuracies the headline is the mean of, in the tables' order.
        text: how an agent acts that writes text.
        tools: how one acts that calls tools; None where none can.
        levels: between which scores it lies, in a sentence for the report.
        comparable: what its score can be compared with, in a sentence for the report.
        task_seconds: what the environment takes for a task on one core, for the plan.
        tasks: returns all tasks that this machine has.
        environment: opens where they are played.
        at_hand: returns what this machine has of it. It raises a UserError for broken files.
        sandboxed: whether it needs a sandbox.
        by_tools: whether this is the form by calls of tools.
    """

    name: str
    label: str
    title: str
    headline: str
    mean: str
    groups: tuple[str, ...]
    text: Form
    tools: Form | None
    levels: str
    comparable: str
    task_seconds: float
    tasks: Callable[[Config], Sequence[Any]]
    environment: Callable[[Surroundings], Environment]
    at_hand: Callable[[Config], Availability]
    sandboxed: bool = False
    by_tools: bool = False

    @property
    def form(self) -> Form:
        """How an agent acts."""
        return self.tools if self.by_tools and self.tools else self.text

    def with_tools(self) -> AgentBenchmark:
        """Returns the same for agents that call tools: its names are its own, so that results are never mixed.

        A benchmark that has no such form is returned as it is.
        """
        if self.tools is None or self.by_tools:
            return self
        return replace(
            self,
            name=self.name + TOOL_CALLS,
            label=f"{self.label}, tool calls",
            headline=self.headline + TOOL_CALLS,
            by_tools=True,
        )
