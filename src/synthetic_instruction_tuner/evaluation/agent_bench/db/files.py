"""Where DBBench's tasks are on this machine: a file that the user names, or AgentBench's data folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask, read_tasks
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability, place_of

PUBLISHED = 300  # tasks of the standard set
SETS = ("standard", "dev")  # the first that is there


def tasks_file(config: Config) -> Path | None:
    """Returns the file of DBBench's tasks; None where this machine has none.

    Raises:
        UserError: `agents.tasks` names something that is not there or has no tasks of DBBench.
    """
    if config.agents.tasks is None:
        place = place_of("agentbench", config.evaluate.data_dir)
        return _below(place.folder) if place else None
    given = Path(config.agents.tasks).expanduser()
    if given.is_file():
        return given
    if found := _below(given):
        return found
    cause = "it holds no dbbench/standard.jsonl and no dbbench/dev.jsonl" if given.is_dir() else "it does not exist"
    raise UserError(
        f"{given} has no tasks of DBBench.", cause, "Let agents.tasks name a file of tasks or AgentBench's folder data."
    )


def dbbench_at_hand(config: Config) -> Availability:
    """Returns what this machine has of DBBench.

    Raises:
        UserError: the file is broken, or `agents.tasks` names none.
    """
    file = tasks_file(config)
    if file is None:
        how = "Put AgentBench's folder data into agentbench/ of evaluate.data_dir, or let agents.tasks name it."
        return Availability(missing="Its tasks are not on this machine.", how=how)
    found = file.stat()
    tasks, digest = _read(file, found.st_size, found.st_mtime_ns)
    return Availability(len(tasks), file.name, digest, complete=len(tasks) >= PUBLISHED, published=PUBLISHED)


def dbbench_tasks(config: Config) -> Sequence[DbTask]:
    """Returns all tasks that are at hand, in the file's order."""
    file = tasks_file(config)
    if file is None:
        return ()
    found = file.stat()
    return _read(file, found.st_size, found.st_mtime_ns)[0]


def _below(folder: Path) -> Path | None:
    places = [folder / part / f"{name}.jsonl" for name in SETS for part in ("dbbench", "data/dbbench", "")]
    return next((file for file in places if file.is_file()), None)


@lru_cache(maxsize=4)
def _read(file: Path, _size: int, _time: int) -> tuple[tuple[DbTask, ...], str]:
    return tuple(read_tasks(file)), hashlib.sha256(file.read_bytes()).hexdigest()[:16]
