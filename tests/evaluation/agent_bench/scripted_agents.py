"""Scripted agents: one that knows the answers, and some that must not score."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Agent, Turn
from synthetic_instruction_tuner.records import Message

Script = Callable[[DbTask, int], str]
"""What the agent says at its turn of this number, counted from 0."""


def operation(sql: str) -> str:
    return f"I think.\n\nAction: Operation\n```sql\n{sql}\n```\n"


def answer(text: str) -> str:
    return f"I am done.\nAction: Answer\nFinal Answer: {text}"


def gold(task: DbTask, turn: int) -> str:
    """Makes the change or gives the answer that the task's label has."""
    if task.changes and turn == 0:
        return operation(task.label[0])
    return answer(json.dumps(list(task.label)))


def silent(task: DbTask, turn: int) -> str:
    return ""


def looping(task: DbTask, turn: int) -> str:
    return operation(f"SELECT * FROM `{task.table}`")


def format_breaking(task: DbTask, turn: int) -> str:
    return f"Action: Operation\n```\n{task.label[0]}\n```"


def injecting(task: DbTask, turn: int) -> str:
    return answer("__import__('os').system('touch injected') or " + repr(list(task.label)))


def wordy(task: DbTask, turn: int) -> str:
    return "Let me think about it. " * 50_000


NEGATIVE: list[Script] = [silent, looping, format_breaking, injecting, wordy]


def agent(tasks: Sequence[DbTask], script: Script) -> Agent:
    """Returns an agent that follows a script; it knows a task by its question."""
    known = {f"{task.question}\n{task.about}": task for task in tasks}

    def turns(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        return [Turn(script(known[messages[2].content], (len(messages) - 3) // 2)) for messages in conversations]

    return turns
