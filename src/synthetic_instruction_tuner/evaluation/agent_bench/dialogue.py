"""What the conversation of one task is: it asks the agent, takes the agent's turn, and ends with an outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from synthetic_instruction_tuner.records import Message

TOOLS: Literal["tools"] = "tools"
"""The role of the first message where the agent calls tools: what may be called, as JSON."""


class End(StrEnum):
    """Why a conversation ended; AgentBench's words for it are beside each."""

    COMPLETED = "completed"  # COMPLETED
    INVALID_ACTION = "invalid action"  # AGENT_VALIDATION_FAILED, AGENT_INVALID_ACTION
    TASK_LIMIT = "task limit"  # TASK_LIMIT_REACHED
    CONTEXT_OVERFLOW = "context overflow"  # AGENT_CONTEXT_LIMIT
    ENVIRONMENT_ERROR = "environment error"  # TASK_ERROR; never the agent's failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task went.

    Attributes:
        end: why the conversation ended.
        right: whether the task counts as solved; False after an error of the environment, which is counted apart.
        answer: what was judged: the final answer, or the state that the agent left behind.
        note: what went wrong, in one line; empty otherwise.
        invalid_calls: turns without a call of a tool, and calls that could not be done; 0 where there are no tools.
    """

    end: End
    right: bool
    answer: str = ""
    note: str = ""
    invalid_calls: int = 0

    @property
    def reason(self) -> str:
        """The kind of failure for tables; empty for a solved task."""
        if self.right:
            return ""
        return "wrong answer" if self.end is End.COMPLETED else str(self.end)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_json` makes an equal outcome."""
        return asdict(self) | {"end": str(self.end)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Returns the outcome that `to_json` wrote."""
        return cls(**data | {"end": End(data["end"])})


def storable(text: str) -> str:
    """Returns a text without halves of characters, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


UNFORESEEN = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises on a text that it was not made for; it says nothing about the machine or the settings."""


class EnvironmentFailed(Exception):
    """The environment broke: no fault of the agent, whose task is begun again once."""


class Dialogue(Protocol):
    """A task's conversation, from the first prompt to its outcome.

    The same turns of the agent always lead to the same state, so that an interrupted conversation is continued by
    taking its turns again.
    """

    @property
    def messages(self) -> list[Message]:
        """What the agent answers now; the last message is the user's."""
        ...

    @property
    def outcome(self) -> Outcome | None:
        """How it went; None while the agent is to answer."""
        ...

    def take(self, text: str) -> None:
        """Takes the agent's turn: acts on the environment, and asks again or ends.

        Raises:
            EnvironmentFailed: the environment broke.
        """
        ...

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        ...

    def close(self) -> None:
        """Gives the environment back."""
        ...


def take(dialogue: Dialogue, text: str) -> Outcome | None:
    """Lets a conversation take the agent's turn, and returns how it went; None while it goes on.

    A turn on which this program fails ends its own task as an invalid action: it must not end all others, and again at
    every restart.

    Raises:
        EnvironmentFailed: the environment broke.
    """
    try:
        dialogue.take(text)
    except UNFORESEEN as error:
        why = " ".join(f"the turn cannot be taken: {type(error).__name__}: {error}".split())
        return Outcome(End.INVALID_ACTION, right=False, note=storable(why)[:200])
    return dialogue.outcome
