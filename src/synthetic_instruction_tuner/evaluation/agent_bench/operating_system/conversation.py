"""The conversation of an OS task: AgentBench's text protocol, version 0.2.

The agent thinks aloud and then acts: it runs commands in a login shell that stays the same from turn to turn, answers,
or says that it has finished.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from importlib.resources import files

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, EnvironmentFailed, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.actions import Kind, read
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.scoring import command, is_right
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import OsTask, Script
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine, OpenMachine
from synthetic_instruction_tuner.records import Message

ROUNDS = 8  # turns in a task
LONGEST, SHOWN = 800, 780  # characters of an output that is shown whole, and of the first part of a longer one
CUT = "\n[truncated because the output is too long]"
NOTHING = "The output of the OS is empty."


class OsConversation:
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_machine: starts the task's machine.
        rounds: the most turns.

    Raises:
        EnvironmentFailed: the machine does not start, or cannot be prepared for the task.
    """

    def __init__(self, task: OsTask, open_machine: OpenMachine, rounds: int = ROUNDS) -> None:
        self.outcome: Outcome | None = None
        *example, last = prompt()
        self.messages = [*example, Message("user", last.content + task.question)]
        self._task, self._left = task, rounds
        self._machine = prepared(task, open_machine)

    def take(self, text: str) -> None:
        """Takes the agent's turn: runs its commands, or judges what it did."""
        self.messages.append(Message("assistant", text))
        self._left -= 1
        action = read(text)
        if action is None:
            self._end(End.INVALID_ACTION, "neither bash nor finish nor an answer")
        elif action.kind is Kind.BASH:
            self.messages.append(Message("user", shown(self._machine.type(action.content))))
            if not self._left:
                self._end(End.TASK_LIMIT, "no answer in the last turn")
        else:
            answer = action.content if action.kind is Kind.ANSWER else None
            self.outcome = Outcome(End.COMPLETED, is_right(self._task, answer, self._machine), answer or "")

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        self._end(End.CONTEXT_OVERFLOW, note)

    def close(self) -> None:
        """Ends the task's machine."""
        self._machine.close()

    def _end(self, end: End, note: str) -> None:
        self.outcome = Outcome(end, right=False, note=note)


def prepared(task: OsTask, open_machine: OpenMachine) -> Machine:
    """Returns the task's machine, made ready for it.

    Raises:
        EnvironmentFailed: it does not start, or cannot be prepared.
    """
    machine = open_machine()
    try:
        _prepare(task, machine)
    except BaseException:
        machine.close()
        raise
    return machine


def _prepare(task: OsTask, machine: Machine) -> None:
    machine.type("")  # the shell is there before its settings are changed, as in AgentBench
    for script in task.init:
        ran = machine.run(command(_repeatable(script, task.id)))
        if ran.code:
            last = ran.output.strip().rpartition("\n")[2]
            raise EnvironmentFailed(f"the task's machine cannot be prepared: exit code {ran.code}: {last[:200]}")
    if task.start:
        machine.type(task.start)


def shown(output: str) -> str:
    """Returns what the agent is told of an output."""
    if not output:
        return NOTHING
    whole = output if len(output) <= LONGEST else f"{output[:SHOWN]}{CUT}"
    return f"The output of the OS:\n\n{whole}"


@cache
def prompt() -> tuple[Message, ...]:
    """Returns the protocol's first messages, with the worked example (AgentBench 0.2, Apache-2.0).

    To the last of them the task's question is added.
    """
    rows = json.loads((files(__package__) / "prompt.json").read_text(encoding="utf-8"))
    return tuple(Message(row["role"], row["content"]) for row in rows)


def _repeatable(script: Script, name: str) -> Script:
    """Returns a script whose random numbers are the same each time: a conversation can be continued later."""
    if script.language != "bash":
        return script
    return Script("bash", f"RANDOM={zlib.crc32(name.encode()) % 32_768}\n{script.code}")
