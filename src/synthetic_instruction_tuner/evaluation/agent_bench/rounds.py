"""Brings many conversations forward at once: the agent's turns of a round are one call of the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, End, EnvironmentFailed, Outcome, take
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
    tasks: Sequence[T],
    begin: Callable[[T], Dialogue],
    agent: Agent,
    earlier: Sequence[Sequence[str]] = (),
    at_once: int | None = None,
) -> Iterator[tuple[int, Played]]:
    """Plays all tasks and yields each conversation after each of its turns; see `play_rounds`.

    Yields:
        The task's number and its conversation, whose outcome is set at the last.
    """
    for changed in play_rounds(tasks, begin, agent, earlier, at_once):
        yield from changed


def play_rounds(
    tasks: Sequence[T],
    begin: Callable[[T], Dialogue],
    agent: Agent,
    earlier: Sequence[Sequence[str]] = (),
    at_once: int | None = None,
) -> Iterator[list[tuple[int, Played]]]:
    """Plays tasks side by side, and yields after each round what has changed in it.

    A task whose environment breaks is begun again once, with the turns that the agent has taken; then it ends with the
    error. Which conversations share a round depends on the tasks' order and the turns alone, so an interrupted play
    goes on with the round that the interruption has lost.

    Args:
        tasks: what to solve.
        begin: returns a task's conversation at its beginning.
        agent: takes the turns of all conversations that are still open.
        earlier: by task, turns that were taken before an interruption.
        at_once: the most conversations that are open at a time; None for all.

    Yields:
        By number, the conversations that have a new turn or have ended.
    """
    played = [Played() for _ in tasks]
    known = [list(turns) for turns in earlier] or [[] for _ in tasks]
    waiting, most = deque(range(len(tasks))), at_once or len(tasks)
    going: dict[int, Dialogue | None] = {}

    def start(number: int) -> Dialogue | None:
        return _begun(tasks[number], begin, known[number], played[number])

    def forward(number: int, turn: Turn) -> Dialogue | None:
        dialogue = going[number]
        assert dialogue is not None
        return _taken(tasks[number], begin, dialogue, turn, played[number])

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            while waiting or going:
                fresh = [waiting.popleft() for _ in range(min(len(waiting), most - len(going)))]
                going |= zip(fresh, pool.map(start, fresh), strict=True)
                if ended := _ended(going, played, fresh):
                    yield ended
                    continue
                numbers = list(going)
                turns = agent([one.messages for one in going.values() if one is not None])
                going |= zip(numbers, pool.map(forward, numbers, turns), strict=True)
                changed = [(number, played[number]) for number in numbers]
                _ended(going, played, numbers)
                yield changed
        finally:
            for dialogue in going.values():
                if dialogue is not None:
                    dialogue.close()


def _ended(
    going: dict[int, Dialogue | None], played: Sequence[Played], numbers: Sequence[int]
) -> list[tuple[int, Played]]:
    """Returns those of the conversations that have ended, and takes them out of those that go on."""
    found = [(number, played[number]) for number in numbers if played[number].outcome is not None]
    for number, _ in found:
        del going[number]
    return found


def _begun(
    task: T, begin: Callable[[T], Dialogue], turns: Sequence[str], into: Played, tries: int = TRIES
) -> Dialogue | None:
    """Returns the task's conversation after these turns; None once it has ended."""
    dialogue = None
    try:
        dialogue = begin(task)
        outcome = dialogue.outcome
        for text in turns:
            outcome = take(dialogue, text)
    except EnvironmentFailed as error:
        if dialogue is not None:
            dialogue.close()
        if tries > 1:
            return _begun(task, begin, turns, into, tries - 1)
        into.outcome = Outcome(End.ENVIRONMENT_ERROR, right=False, note=str(error))
        return None
    into.turns = list(turns)
    return _noted(dialogue, into, outcome)


def _taken(task: T, begin: Callable[[T], Dialogue], dialogue: Dialogue, turn: Turn, into: Played) -> Dialogue | None:
    if turn.overflow:
        dialogue.overflow(turn.overflow)
        return _noted(dialogue, into, dialogue.outcome)
    into.turns.append(turn.text)
    try:
        outcome = take(dialogue, turn.text)
    except EnvironmentFailed:
        dialogue.close()
        return _begun(task, begin, list(into.turns), into, TRIES - 1)
    return _noted(dialogue, into, outcome)


def _noted(dialogue: Dialogue, into: Played, outcome: Outcome | None) -> Dialogue | None:
    into.messages, into.outcome = list(dialogue.messages), outcome
    if outcome is None:
        return dialogue
    dialogue.close()
    return None
