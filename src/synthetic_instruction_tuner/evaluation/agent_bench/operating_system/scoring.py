"""Whether a task is solved: by a rule for the answer, or by scripts that look at what the agent left behind.

As AgentBench 0.2 judges. The scripts run on the agent's own machine, one after the other: each is given the answer and
what the scripts before it printed, and the first that fails decides. `None`, which is the answer of an agent that just
finishes, is given to them as that word.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import Match, OsTask, Script
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine


def is_right(task: OsTask, answer: str | None, machine: Machine) -> bool:
    """Returns whether a task is solved.

    Args:
        task: the task.
        answer: what the agent answered; None where it finished without an answer.
        machine: where it worked.

    Raises:
        EnvironmentFailed: the machine is gone.
    """
    if task.match is not None:
        return answer is not None and matches(task.match, answer)
    given = [str(answer)]
    for script in task.check:
        ran = machine.run(command(script, given))
        if ran.code:
            return False
        given.append(ran.output)
    return True


def matches(rule: Match, answer: str) -> bool:
    """Returns whether an answer is what a rule wants: these words, or, for a pattern, words in which it is found."""
    text = answer.strip() if rule.strip else answer
    return re.search(rule.wanted, text) is not None if rule.pattern else text == rule.wanted


def command(script: Script, given: list[str] | None = None) -> list[str]:
    """Returns the command that runs a script, with what is given to it."""
    if script.language == "python":
        return ["python3", "-c", script.code, *(given or [])]
    return ["bash", "-c", script.code, *(["--", *given] if given else [])]
