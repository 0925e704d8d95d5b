"""The tasks of OS interaction, as AgentBench's files have them: a JSON list, one object, or JSON lines.

Most of them name scripts that lie beside the tasks in AgentBench's repository, in `data/os_interaction/scripts`. A task
whose scripts are not there cannot be played.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.task import fault_of, read_rows, text_of

LANGUAGES = ("bash", "python")
SCRIPTS = Path("data", "os_interaction", "scripts")  # in a checkout of AgentBench


@dataclass(frozen=True, slots=True)
class Script:
    """A program of a task's.

    Attributes:
        language: ``bash`` or ``python``.
        code: its text.
    """

    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Match:
    """What an answer must be.

    Attributes:
        wanted: the answer, or a regular expression that is found in it.
        pattern: whether it is an expression.
        strip: whether spaces around the answer do not count.
    """

    wanted: str
    pattern: bool = False
    strip: bool = True


@dataclass(frozen=True, slots=True)
class OsTask:
    """One task.

    Attributes:
        id: its file and its place there, such as ``os-dev-0003``.
        question: what the agent is asked to do.
        init: scripts that prepare the machine.
        start: what is typed into the agent's shell before it.
        match: the rule for the answer; None where scripts judge.
        check: scripts that judge, in order.
        example: a solution, as far as there is one: what it prints is the right answer.
        lacks: scripts that are named and not there.
    """

    id: str
    question: str
    init: tuple[Script, ...] = ()
    start: str = ""
    match: Match | None = None
    check: tuple[Script, ...] = ()
    example: Script | None = None
    lacks: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``match`` or ``check``: what judges it."""
        return "check" if self.match is None else "match"

    @property
    def group(self) -> str:
        """The group whose accuracy it counts for: there is one."""
        return "All tasks"


class _Lacking(Exception):
    """A script is named and not there."""


def read_tasks(place: Path, checkout: Path | None = None) -> list[OsTask]:
    """Returns the tasks of a file, in order, or of a folder: of the files in its folders.

    Args:
        place: the file or folder. The folder `data/os_interaction/data` of a checkout is the standard set.
        checkout: a checkout of AgentBench, for scripts; without one they are looked for where the tasks lie in one.

    Raises:
        UserError: it is not there, or a task is broken.
    """
    if checkout is not None and not (checkout / SCRIPTS).is_dir():
        raise UserError(
            f"{checkout} is no checkout of AgentBench.", f"it has no folder {SCRIPTS}", "Name one with --agentbench."
        )
    found = [task for file in _files(place) for task in _of_file(file, checkout)]
    if not found:
        raise _broken(place, "it has no task")
    return found


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    files = [file for pattern in ("*/*.json", "*/*.jsonl") for file in sorted(place.glob(pattern))]
    return files or [file for pattern in ("*.json", "*.jsonl") for file in sorted(place.glob(pattern))]


def _of_file(file: Path, checkout: Path | None) -> list[OsTask]:
    group = file.parent.name if file.parent.name.isdigit() else file.stem
    name = group if group == file.stem else f"{group}-{file.stem}"
    scripts = _scripts(file, group, checkout)
    return [_task(row, f"os-{name}-{number:04d}", scripts, file) for number, row in enumerate(read_rows(file, _broken))]


def _scripts(file: Path, group: str, checkout: Path | None) -> Path | None:
    """Returns the folder of a file's scripts."""
    if checkout is not None:
        return checkout / SCRIPTS / group
    for folder in file.resolve().parents:
        if folder.name == "data" and folder.parent.name == "os_interaction":
            return folder.parent / "scripts" / group
    return None


def _task(row: Any, name: str, scripts: Path | None, file: Path) -> OsTask:
    try:
        return _read(row, name, scripts)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _broken(file, f"{name}: {fault_of(error)}") from error


def _read(row: Any, name: str, scripts: Path | None) -> OsTask:
    lacks: list[str] = []

    def script(value: Any) -> Script:
        try:
            return _script(value, scripts)
        except _Lacking as error:
            lacks.append(str(error))
            return Script("bash", "")

    evaluation, create = row["evaluation"], row.get("create", {})
    init = create.get("init", []) if isinstance(create, dict) else []
    example = script(evaluation["example"]) if "example" in evaluation else None
    match = _match(evaluation["match"]) if "match" in evaluation else None
    check = [] if match else evaluation["check"]
    judges = [example if one is None else script(one) for one in (check if isinstance(check, list) else [check])]
    if not match and (not judges or None in judges):
        raise ValueError("it has neither a rule nor a script that judges, or no example where one is needed")
    return OsTask(
        name,
        text_of(row["description"]),
        tuple(script(one) for one in (init if isinstance(init, list) else [init])),
        script(row["start"]).code if "start" in row else "",
        match,
        tuple(one for one in judges if one is not None),
        example,
        tuple(dict.fromkeys(lacks)),
    )


def _script(value: Any, scripts: Path | None) -> Script:
    if isinstance(value, str):
        return Script("bash", value)
    language = value.get("language", "bash")
    if language not in LANGUAGES:
        raise ValueError(f"a script in {language!r:.40}, of which only {' and '.join(LANGUAGES)} are known")
    if "file" not in value:
        return Script(language, text_of(value["code"]))
    name = text_of(value["file"])
    file = scripts / name if scripts is not None else None
    if file is None or not file.is_file() or not file.resolve().is_relative_to(scripts.resolve() if scripts else file):
        raise _Lacking(name)
    return Script(language, file.read_text(encoding="utf-8"))


def _match(value: Any) -> Match:
    if isinstance(value, str):
        return Match(value)
    pattern = "answer" not in value
    wanted = text_of(value["regex" if pattern else "answer"])
    if pattern:
        try:
            re.compile(wanted)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"the pattern {wanted!r:.60} cannot be read: {error}") from error
    return Match(wanted, pattern, bool(value.get("strip", True)))


def _broken(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} is no file of OS interaction tasks.",
        why,
        "Each task is a JSON object with description and evaluation, as AgentBench 0.2 has them.",
    )


def playable(tasks: Sequence[OsTask]) -> list[OsTask]:
    """Returns the tasks whose scripts are all there."""
    return [task for task in tasks if not task.lacks]


def with_scripts(tasks: Sequence[OsTask]) -> tuple[list[OsTask], tuple[str, ...]]:
    """Returns the tasks whose scripts are all there, and the names of the others.

    Raises:
        UserError: none is left.
    """
    left = playable(tasks)
    if not left:
        raise UserError(
            "None of these tasks can be played.",
            f"their scripts are not there, such as {tasks[0].lacks[0]}",
            "Name a checkout of AgentBench, which has them: --agentbench FOLDER.",
        )
    return left, tuple(task.id for task in tasks if task.lacks)
