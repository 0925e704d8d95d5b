"""Where AgentBench's and BFCL's tasks are on this machine: a file that the user names, or the benchmark's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask, read_bfcl
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import read_tasks as read_db_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import OsTask, playable
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import read_tasks as read_os_tasks
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability, place_of

DB_TASKS, OS_TASKS = 300, 144  # of the standard sets
_DB = tuple(f"{part}{name}.jsonl" for name in ("standard", "dev") for part in ("dbbench/", "data/dbbench/", ""))
_BFCL = ("bfcl", "bfcl/data", "bfcl/bfcl_eval/data", "")
_OS = ("os_interaction/data", "data/os_interaction/data")
_HOW = "Put AgentBench's folder data into agentbench/ of evaluate.data_dir, or let agents.tasks name it."


def db_at_hand(config: Config) -> Availability:
    """Returns what this machine has of DBBench.

    Raises:
        UserError: the file is broken, or `agents.tasks` names none.
    """
    found = _place(config, _DB)
    if found is None:
        return Availability(missing="Its tasks are not on this machine.", how=_HOW)
    tasks, digest = _db_tasks(found, _stamp(found))
    return Availability(len(tasks), found.name, digest, complete=len(tasks) >= DB_TASKS, published=DB_TASKS)


def db_tasks(config: Config) -> Sequence[DbTask]:
    """Returns the tasks of DBBench that are at hand, in the file's order."""
    found = _place(config, _DB)
    return _db_tasks(found, _stamp(found))[0] if found else ()


def os_at_hand(config: Config) -> Availability:
    """Returns what this machine has of OS interaction: tasks whose scripts are there.

    Raises:
        UserError: a file is broken.
    """
    found = _place(config, _OS)
    if found is None:
        return Availability(missing="Its tasks are not on this machine.", how=_HOW)
    tasks, digest = _os_tasks(found, _stamp(found))
    missing = "" if tasks else "The scripts of its tasks are not on this machine."
    how = "" if tasks else "AgentBench has them in data/os_interaction/scripts."
    n = len(tasks)
    return Availability(n, found.name, digest, missing, how, n >= OS_TASKS, published=OS_TASKS)


def os_tasks(config: Config) -> Sequence[OsTask]:
    """Returns the tasks of OS interaction that can be played."""
    found = _place(config, _OS)
    return _os_tasks(found, _stamp(found))[0] if found else ()


def bfcl_at_hand(config: Config) -> Availability:
    """Returns what this machine has of BFCL's categories of one turn.

    Raises:
        UserError: a file is broken.
    """
    found = _bfcl_place(config)
    if found is None:
        how = "Put the folder bfcl_eval/data of BFCL, with its files, into bfcl/ of evaluate.data_dir."
        return Availability(missing="Its files are not on this machine.", how=how)
    tasks, digest = _bfcl_tasks(found, _stamp(found, beside=False))
    return Availability(len(tasks), found.name, digest)


def bfcl_tasks(config: Config) -> Sequence[BfclTask]:
    """Returns the tasks of BFCL that are at hand."""
    found = _bfcl_place(config)
    return _bfcl_tasks(found, _stamp(found, beside=False))[0] if found else ()


def _bfcl_place(config: Config) -> Path | None:
    """Returns the folder with BFCL's files: the user's own, its folder bfcl, or one of these with BFCL's own layout."""
    if config.evaluate.data_dir is None:
        return None
    own = Path(config.evaluate.data_dir).expanduser()
    return next((own / name for name in _BFCL if any((own / name).glob("BFCL_v*.json*"))), None)


def _place(config: Config, names: Sequence[str]) -> Path | None:
    """Returns the first of these files or folders that is in AgentBench's folder; a file of tasks is DBBench's."""
    given = config.agents.tasks
    if given is None:
        place = place_of("agentbench", config.evaluate.data_dir)
        return _first(place.folder, names) if place else None
    folder = Path(given).expanduser()
    if folder.is_file():
        return folder if names is _DB else None
    if not folder.is_dir():
        raise UserError(f"There are no agents' tasks in {folder}.", "It does not exist.", "Correct agents.tasks.")
    return _first(folder, names)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


Stamp = tuple[tuple[str, int, int], ...]


def _stamp(place: Path, beside: bool = True) -> Stamp:
    """Names, sizes and times of the files, and of scripts beside them: read anew when one of them changes."""
    folder = place.parent if beside else place
    near = [place, *(folder.rglob("*") if place.is_dir() else ())]
    found = [(file, file.stat()) for file in sorted(near) if file.is_file()]
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in found)


@lru_cache(maxsize=4)
def _db_tasks(file: Path, _: Stamp) -> tuple[tuple[DbTask, ...], str]:
    return _with_digest(read_db_tasks(file))


@lru_cache(maxsize=4)
def _bfcl_tasks(folder: Path, _: Stamp) -> tuple[tuple[BfclTask, ...], str]:
    return _with_digest(read_bfcl([folder]))


@lru_cache(maxsize=4)
def _os_tasks(folder: Path, _: Stamp) -> tuple[tuple[OsTask, ...], str]:
    place = folder if any(file.parent.name.isdigit() for file in folder.glob("*/*.json")) else folder / "dev.json"
    return _with_digest(playable(read_os_tasks(place)))


def _with_digest(tasks: Sequence[Any]) -> tuple[tuple[Any, ...], str]:
    return tuple(tasks), hashlib.sha256(repr(tuple(tasks)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
