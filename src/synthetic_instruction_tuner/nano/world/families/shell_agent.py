"""One step in a shell, in the text protocol of AgentBench: a thought, an ``Act:`` line and one fenced block.

The form is the one that AgentBench v0.2 parses. Commands are compared with the expected ones and never run.
"""

# ruff: noqa: E501
from __future__ import annotations

import re
import shlex
from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import numbers_in
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.goals import Goal, read
from synthetic_instruction_tuner.nano.world.vocabulary import NAMES, THINGS

_PATH = {"path": r"/[a-z]+/[a-z]+(?:/[a-z]+)*", "other": r"/[a-z]+/[a-z]+(?:/[a-z]+)*", "file": r"[a-z]+\.[a-z]+"}
_SHELL = {**_PATH, "to": r"[a-z]+\.[a-z]+", "n": "[2-9]", "w": "[a-z]+", "ext": "txt|log|csv|md"}


def _shell(texts: tuple[str, str], note: str, *commands: str) -> Goal:
    return Goal(texts, commands, note, _SHELL)


OS_GOALS = (
    _shell(("How many files are in {path}?", "Count the entries of {path}."), "entries of {path}, counted",
           "ls {path} | wc -l", "ls -1 {path} | wc -l"),
    _shell(("How many lines has {file} in {path}?", "Count the lines of {file} in {path}."), "lines of {path}/{file}",
           "wc -l {path}/{file}", "wc -l < {path}/{file}", "cat {path}/{file} | wc -l"),
    _shell(("How many words has {file} in {path}?", "Count the words of {file} in {path}."), "words of {path}/{file}",
           "wc -w {path}/{file}", "wc -w < {path}/{file}", "cat {path}/{file} | wc -w"),
    _shell(("Show the first {n} lines of {file} in {path}.", "How does {file} in {path} begin? Show {n} lines."),
           "first {n} lines of {path}/{file}", "head -n {n} {path}/{file}", "head -{n} {path}/{file}"),
    _shell(("Show the last {n} lines of {file} in {path}.", "How does {file} in {path} end? Show {n} lines."),
           "last {n} lines of {path}/{file}", "tail -n {n} {path}/{file}", "tail -{n} {path}/{file}"),
    _shell(("Which files are in {path}?", "List the content of {path}."), "content of {path}",
           "ls {path}", "ls -1 {path}", "ls {path}/"),
    _shell(("Find all {ext} files under {path}.", "Where under {path} are {ext} files?"), "all {ext} files below {path}",
           "find {path} -name '*.{ext}'", "find {path} -type f -name '*.{ext}'"),
    _shell(("How many lines of {file} in {path} have the word {w}?", "Count the lines with {w} in {file} in {path}."),
           "lines with {w} in {path}/{file}", "grep -c {w} {path}/{file}", "grep {w} {path}/{file} | wc -l"),
    _shell(("Show the lines with {w} in {file} in {path}.", "Where does {file} in {path} say {w}?"),
           "each line of {path}/{file} that has {w}", "grep {w} {path}/{file}", "cat {path}/{file} | grep {w}"),
    _shell(("Make a folder {w} in {path}.", "In {path} a folder {w} is missing."), "new folder {path}/{w}",
           "mkdir {path}/{w}", "mkdir -p {path}/{w}"),
    _shell(("Make an empty file {file} in {path}.", "In {path} an empty file {file} is missing."),
           "new empty file {path}/{file}", "touch {path}/{file}"),
    _shell(("Delete {file} in {path}.", "The file {file} in {path} must go."), "{path}/{file}, no longer needed",
           "rm {path}/{file}", "rm -f {path}/{file}"),
    _shell(("Copy {file} in {path} to {to}.", "I want a copy of {file} in {path} as {to}."),
           "{path}/{file}, copied as {to}", "cp {path}/{file} {path}/{to}"),
    _shell(("Rename {file} in {path} to {to}.", "In {path} the file {file} needs the name {to}."),
           "{path}/{file}, new name {to}", "mv {path}/{file} {path}/{to}"),
    _shell(("Sort the lines of {file} in {path}.", "Show {file} in {path} in sorted order."), "sorted lines of {path}/{file}",
           "sort {path}/{file}", "cat {path}/{file} | sort"),
    _shell(("How large is {file} in {path} in bytes?", "Count the bytes of {file} in {path}."), "bytes of {path}/{file}",
           "wc -c {path}/{file}", "wc -c < {path}/{file}", "stat -c %s {path}/{file}"),
    _shell(("Write {w} into {file} in {path}.", "The file {file} in {path} should only say {w}."),
           "{w}, as the text of {path}/{file}", "echo {w} > {path}/{file}"),
)  # fmt: skip
_BASH = re.compile(r"```bash\n(.*?)\n```", re.DOTALL)
_ACT = re.compile(r"Act:\s*(.+)")
_THINK = re.compile(r"Think:\s*(.+)")
_NAMED = re.compile(r"/[a-z]+(?:/[a-z.]*[a-z])+")


def _tokens(command: str) -> list[str] | None:
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return None


class ShellAgent(Family):
    """One command in a Linux shell."""

    name = "os_agent"
    domain = "agent"
    takes_marks = False
    patterns = {"user": "[A-Z][a-z]+", "goal": r"[A-Z][^\n]+[.?]"}
    templates = (
        "Think, then write Act: bash with one command. {goal} This is for {user}.",
        "You are in a Linux shell of {user}. {goal}",
        "Shell task from {user}: {goal} Reply with Think and Act: bash.",
        "{user} asks: {goal} Use one bash command.",
        "Linux, one step with Act: bash, logged in as {user}. {goal}",
    )
    thoughts = (
        "This needs only one command. What I am after is {note}, so I go straight to it.",
        "I want to reach this with a single command: {note}. Then I look at what comes back.",
        "The goal is clear: {note}. There is a simple tool in the shell for this job.",
        "One step is enough. It is about {note}, and the shell can do this at once.",
    )

    def fill(self, rng: Random) -> Slots:
        goal = rng.choice(OS_GOALS)
        user = rng.choice(NAMES)
        one, two, three, four, word = rng.sample(THINGS, 5)
        home = rng.choice((f"/home/{user.lower()}/{one}", f"/{one}/{two}", f"/data/{one}/{two}"))
        extension, n = rng.choice(("txt", "log", "csv", "md")), rng.randint(2, 9)
        values = {"path": home, "file": f"{three}.{extension}", "to": f"{four}.{extension}", "n": n, "w": word}
        return {"user": user, "goal": rng.choice(goal.texts).format(**values, ext=extension)}

    def solvable(self, slots: Slots) -> bool:
        return read(OS_GOALS, slots["goal"]) is not None

    @staticmethod
    def _solve(slots: Slots) -> tuple[list[str], str]:
        found = read(OS_GOALS, slots["goal"])
        assert found is not None, "only solvable slots come here"
        index, values = found
        goal = OS_GOALS[index]
        return [command.format(**values) for command in goal.solutions], goal.note.format(**values)

    def answer(self, rng: Random, slots: Slots) -> str:
        commands, note = self._solve(slots)
        thought = rng.choice(self.thoughts).format(note=note)
        return f"Think: {thought}\n\nAct: bash\n\n```bash\n{commands[0]}\n```"

    def fault(self, slots: Slots, response: str) -> str | None:
        commands, note = self._solve(slots)
        thought, acts, blocks = _THINK.search(response), _ACT.findall(response), _BASH.findall(response)
        if thought is None or not acts or acts[-1].strip() != "bash" or len(blocks) != 1:
            return "not the protocol's action"
        if set(_NAMED.findall(thought[1])) - set(_NAMED.findall(note)):
            return "thinks of another path"
        if set(numbers_in(thought[1])) - set(numbers_in(note)):
            return "thinks of another number"
        given = _tokens(blocks[0].strip())
        return None if given in map(_tokens, commands) else "another command"

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{self._solve(slots)[1]}"

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        return f"# shell\n{self._solve(slots)[1]}\n\n{response}"


FAMILIES: tuple[Family, ...] = (ShellAgent(),)
