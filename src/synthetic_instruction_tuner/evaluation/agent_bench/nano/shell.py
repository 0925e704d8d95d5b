"""One step in a shell: a goal from the nano world's held-out split, judged by what the command prints and changes.

The machine has the files that the goal speaks of. Before the agent is asked, every right command is typed into its
shell, and what it printed and left behind is noted; then the files are made anew. The agent's command is right if it
prints and leaves behind the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from random import Random

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, EnvironmentFailed, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.actions import Kind, read
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import shown
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine, OpenMachine
from synthetic_instruction_tuner.nano.world.families.shell_agent import OS_GOALS, ShellAgent
from synthetic_instruction_tuner.nano.world.goals import read as read_goal
from synthetic_instruction_tuner.nano.world.vocabulary import THINGS
from synthetic_instruction_tuner.records import Message

NAME = "nano_os"
GROUP = "All tasks"
LINES = 14  # of a file: more than any goal asks for
_FAMILY = ShellAgent()
_SYSTEM = frozenset(("bin", "boot", "dev", "etc", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv"))

Effect = tuple[str, str]
"""What a command printed, and the files afterwards."""


@dataclass(frozen=True, slots=True)
class NanoOsTask:
    """One task.

    Attributes:
        id: such as ``nano_os-0003``.
        prompt: what the agent is asked.
        answer: the turn of an agent that knows the answer.
        commands: the right commands.
        folder: the folder that the goal speaks of.
        script: makes that folder anew, in bash.
        kind: what kind of task it is: all are of one.
        group: the group that it is counted with: there is one.
    """

    id: str
    prompt: str
    answer: str
    commands: tuple[str, ...]
    folder: str
    script: str
    kind: str = "command"
    group: str = GROUP


def nano_os_tasks(count: int) -> list[NanoOsTask]:
    """Returns different tasks of the held-out split, one of each goal in turn; fewer are a prefix of more."""
    rng, found, seen = Random(NAME), list[NanoOsTask](), set[str]()
    while len(found) < count:
        drawn = _FAMILY.draw(rng, "eval")
        parsed = _FAMILY.parse(drawn.instruction)
        goal = read_goal(OS_GOALS, parsed[0]["goal"]) if parsed else None
        if goal is None or drawn.key in seen or goal[0] != len(found) % len(OS_GOALS):
            continue
        index, values = goal
        if values["path"].split("/")[1] in _SYSTEM:
            continue
        seen.add(drawn.key)
        name = f"{NAME}-{len(found):04d}"
        commands = tuple(command.format(**values) for command in OS_GOALS[index].solutions)
        script = _script(Random(name), values, made=commands[0].startswith("touch"))
        found.append(NanoOsTask(name, drawn.instruction, drawn.response, commands, values["path"], script))
    return found


def _script(rng: Random, values: dict[str, str], made: bool) -> str:
    """Returns bash that makes a folder with the files of a goal, without the one that is to be made, and some more."""
    path, word = values["path"], values.get("w", "")
    extension = values.get("ext", "txt")
    names = {values.get("file", f"main.{extension}"), f"other.{extension}", "more.dat", f"below/deep.{extension}"}
    new = {values.get("to", ""), values["file"] if made else ""}
    lines = [f"rm -rf {path}", f"mkdir -p {path}/below"]
    for name in sorted(names - new):
        text = "\n".join(_lines(rng, word))
        lines.append(f"printf '%s\\n' {shlex.quote(text)} > {path}/{name}")
    return "\n".join(lines)


def _lines(rng: Random, word: str) -> Iterable[str]:
    """Yields lines of a few words; the word that a goal speaks of is in some of them."""
    others = [thing for thing in THINGS if thing != word]
    count = LINES + rng.randint(0, 5)
    having = set(rng.sample(range(count), rng.randint(3, 5))) if word else set[int]()
    for number in range(count):
        line = rng.sample(others, rng.randint(1, 4))
        yield " ".join([*line, word] if number in having else line)


class NanoOsConversation:
    """Plays one task; see `dialogue.Dialogue`.

    Args:
        task: what the agent is to do.
        open_machine: starts the task's machine.
        known: by task, the effects of the right commands, which are the same whoever plays.

    Raises:
        EnvironmentFailed: the machine does not start, or cannot be prepared.
    """

    def __init__(
        self, task: NanoOsTask, open_machine: OpenMachine, known: MutableMapping[str, tuple[Effect, ...]]
    ) -> None:
        self.outcome: Outcome | None = None
        self.messages = [Message("user", task.prompt)]
        self._task, self._machine = task, open_machine()
        try:
            self._machine.type("")
            if task.id not in known:
                known[task.id] = tuple(self._effect(command) for command in task.commands)
            self._wanted = known[task.id]
            self._prepare()
        except BaseException:
            self._machine.close()
            raise

    def take(self, text: str) -> None:
        """Takes the agent's turn: runs its command, and judges what it did."""
        self.messages.append(Message("assistant", text))
        action = read(text)
        if action is None or (action.kind is Kind.BASH and not action.content):
            self._end(End.INVALID_ACTION, note="no command")
        elif action.kind is not Kind.BASH:
            self._end(End.COMPLETED, answer=action.content, note="an answer without a command")
        else:
            printed = self._machine.type(action.content)
            self.messages.append(Message("user", shown(printed)))
            right = (printed, _files(self._machine, self._task.folder)) in self._wanted
            self._end(End.COMPLETED, right, action.content)

    def overflow(self, note: str) -> None:
        """Ends it because the conversation no longer fits into the model."""
        self._end(End.CONTEXT_OVERFLOW, note=note)

    def close(self) -> None:
        """Ends the task's machine."""
        self._machine.close()

    def _effect(self, command: str) -> Effect:
        self._prepare()
        return self._machine.type(command), _files(self._machine, self._task.folder)

    def _prepare(self) -> None:
        ran = self._machine.run(["bash", "-c", self._task.script])
        if ran.code:
            raise EnvironmentFailed(f"the task's files cannot be made: {ran.output.strip()[-200:]}")

    def _end(self, end: End, right: bool = False, answer: str = "", note: str = "") -> None:
        self.outcome = Outcome(end, right, answer, note)


def _files(machine: Machine, folder: str) -> str:
    """Returns the names, kinds and contents of all that is in a folder."""
    listing = f"cd {folder} && find . -printf '%y %P\\n' | sort && find . -type f | sort | xargs -r -d '\\n' cksum"
    return machine.run(["bash", "-c", listing]).output
