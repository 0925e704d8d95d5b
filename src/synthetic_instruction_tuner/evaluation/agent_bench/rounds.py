"""Brings many conversations forward at once: the agent's turns of a round are one call of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, End, EnvironmentFailed, Outcome
from synthetic_instruction_tuner.records import Message

TRIES = 2  # of a task whose environment breaks
WORKERS = 8  # environments that work at the same time


@dataclass(frozen=True, slots=True)
class Turn:
    """An agent's answer to a conversation.

    Attributes:
        text: what it says; empty where it says nothing.
        overflow: why the conversation does not fit into the model; empty otherwise.
    """

    text: str
    overflow: str = ""


Agent = Callable[[Sequence[Sequence[Message]]], Sequence[Turn]]
"""Answers conversations, all in one call."""


class Task(Protocol):
    """Something to be solved."""

    @property
    def id(self) -> str:
        """Its name."""
        ...


T = TypeVar("T", bound=Task)


@dataclass(slots=True)
class Played:
    """A task's conversation so far.

    Attributes:
        turns: what the agent has said, in order; taking them again leads to the same place.
        messages: the whole conversation, the agent's last turn included.
        outcome: how it went; None while it goes on.
    """

    turns: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    outcome: Outcome | None = None


def play(
    tasks: Sequence[T], begin: Callable[[T], Dialogue], agent: Agent, earlier: Sequence[Sequence[str]] = ()
) -> Iterator[tuple[int, Played]]:
    """Plays all tasks side by side and yields each conversation after each of its turns.

    A task whose environment breaks is begun again once, with the turns that the agent has taken; then it ends with the
    error.

    Args:
        tasks: what to solve.
        begin: returns a task's conversation at its beginning.
        agent: takes the turns of all conversations that are still open.
        earlier: by task, turns that were taken before an interruption.

    Yields:
        The task's number and its conversation, whose outcome is set at the last.
    """
    played = [Played() for _ in tasks]
    known = [list(turns) for turns in earlier] or [[] for _ in tasks]
    with ThreadPoolExecutor(WORKERS) as pool:
        going: dict[int, Dialogue | None] = {}
        begun = pool.map(lambda k: _begun(tasks[k], begin, known[k], played[k]), range(len(tasks)))
        for number, dialogue in enumerate(begun):
            if played[number].outcome is None:
                going[number] = dialogue
            else:
                yield number, played[number]
        while going:
            numbers = list(going)
            open_ones = [one for one in (going[number] for number in numbers) if one is not None]
            turns = agent([one.messages for one in open_ones])

            def forward(number: int, turn: Turn) -> Dialogue | None:
                dialogue = going[number]
                assert dialogue is not None
                return _taken(tasks[number], begin, dialogue, turn, played[number])

            for number, dialogue in zip(numbers, pool.map(forward, numbers, turns), strict=True):
                going[number] = dialogue
                if played[number].outcome is not None:
                    del going[number]
                yield number, played[number]


def _begun(
    task: T, begin: Callable[[T], Dialogue], turns: Sequence[str], into: Played, tries: int = TRIES
) -> Dialogue | None:
    """Returns the task's conversation after these turns; None once it has ended."""
    dialogue = None
    try:
        dialogue = begin(task)
        for text in turns:
            dialogue.take(text)
    except EnvironmentFailed as error:
        if dialogue is not None:
            dialogue.close()
        if tries > 1:
            return _begun(task, begin, turns, into, tries - 1)
        into.outcome = Outcome(End.ENVIRONMENT_ERROR, right=False, note=str(error))
        return None
    into.turns = list(turns)
    return _noted(dialogue, into)


def _taken(task: T, begin: Callable[[T], Dialogue], dialogue: Dialogue, turn: Turn, into: Played) -> Dialogue | None:
    if turn.overflow:
        dialogue.overflow(turn.overflow)
        return _noted(dialogue, into)
    into.turns.append(turn.text)
    try:
        dialogue.take(turn.text)
    except EnvironmentFailed:
        dialogue.close()
        return _begun(task, begin, list(into.turns), into, TRIES - 1)
    return _noted(dialogue, into)


def _noted(dialogue: Dialogue, into: Played) -> Dialogue | None:
    into.messages, into.outcome = list(dialogue.messages), dialogue.outcome
    if dialogue.outcome is None:
        return dialogue
    dialogue.close()
    return None
