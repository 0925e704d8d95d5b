"""An OS task by calls of tools: AgentBench's function-calling version, whose accuracy is a metric of its own."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import ROUNDS, prepared, shown
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.scoring import is_right
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import OsTask
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import OpenMachine
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import Action, Reader, ToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.tools import OS_TOOLS
from synthetic_instruction_tuner.records import Message

INSTRUCTIONS = """\
You work in the shell of a Linux machine: you do what the user asks for, or find out what the user wants to know.
Before each call, say what you think. Run commands with bash_action; they must not wait for input, and long output is \
cut. When you know what was asked, call answer_action with the answer alone. When you have done what was to be done, \
call finish_action. Whatever you only write, without calling a tool, does not count."""


class OsToolConversation(ToolConversation):
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_machine: starts the task's machine.
        read: reads the agent's turns.
        rounds: the most turns.
    """

    def __init__(self, task: OsTask, open_machine: OpenMachine, read: Reader, rounds: int = ROUNDS) -> None:
        self._task, self._machine = task, prepared(task, open_machine)
        actions: dict[str, Action] = {
            "bash_action": lambda script: shown(self._machine.type(str(script))),
            "finish_action": lambda thought: self._judged(None),
            "answer_action": self._judged,
        }
        opening = [Message("system", INSTRUCTIONS), Message("user", task.question)]
        super().__init__(read, OS_TOOLS, opening, actions, rounds, self._machine.close)

    def _judged(self, answer: Any) -> Outcome:
        given = None if answer is None else str(answer)
        return Outcome(End.COMPLETED, is_right(self._task, given, self._machine), given or "")
