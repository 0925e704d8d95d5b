"""A run folder that another version of sit made: every verb refuses it with one message, and nothing is written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.execution import execute
from synthetic_instruction_tuner.run.folder import RunFolder

Sit = Callable[..., tuple[int, str, str]]
OLD_CONFIG = {
    "profile": "nano",
    "seed": 17,
    "models": {"generator": {"path": "nano:generator"}},
    "filter": {"similarity": 0.8},
    "train": {"sft": {"accumulation": 4, "epochs": 2}},
}
HERE = ("run", "generate", "filter", "prefer", "train sft", "evaluate", "report", "slides", "status", "compare", "chat")


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    """A store of format 1, as a finished run leaves it, with the settings of that time."""
    folder = RunFolder(tmp_path / "runs/nano")
    folder.root.mkdir(parents=True)
    folder.config.write_text(json.dumps(OLD_CONFIG))
    with closing(sqlite3.connect(folder.store)) as db, db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO meta VALUES ('schema', '1')")
    return folder


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "line",
    [
        *HERE,
        *(f"{verb} -d runs/nano" for verb in (*HERE, "doctor")),
        "run --profile nano",
        "run --repair",
        "run --from evaluate",
        "run -d runs/nano --set filter.min_words=3",
        "run -d runs/nano --set filter.similarity=0.8",
    ],
)
def test_an_old_run_is_refused_and_left_alone(sit: Sit, old: RunFolder, line: str) -> None:
    before = contents(old)
    code, out, error = sit(line)
    assert (code, out) == (2, "")
    problem, why, fix = error.splitlines()
    assert problem.startswith("The run in ") and problem.endswith("runs/nano was made by an earlier version of sit.")
    assert why == "  why: Its store has format 1; this version reads format 3."
    assert "Use another --run-dir" in fix and "runs/nano/data can still be read: sit filter" in fix
    assert contents(old) == before


def test_the_doctor_names_an_old_run(sit: Sit, old: RunFolder) -> None:
    before = contents(old)
    code, out, _ = sit("doctor --json")
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1 and not found["run folder"]["ok"] and "an earlier version of sit" in found["run folder"]["found"]
    assert contents(old) == before


def test_a_notebook_is_told_the_same(old: RunFolder) -> None:
    before = contents(old)
    with pytest.raises(UserError, match="an earlier version of sit"):
        execute(load_config(), old)
    with pytest.raises(UserError, match="an earlier version of sit"):
        old.read_config()
    assert contents(old) == before


def test_a_later_versions_run_is_refused_too(sit: Sit, old: RunFolder) -> None:
    with closing(sqlite3.connect(old.store)) as db, db:
        db.execute("UPDATE meta SET value = '4'")
    code, _, error = sit("status")
    assert code == 2 and "a later version of sit" in error


def test_old_settings_without_a_store_are_named(sit: Sit, old: RunFolder) -> None:
    old.store.unlink()
    code, _, error = sit("status")
    assert code == 2 and "config.json does not hold the settings of a run" in error and "There is no setting" in error
