"""A judge whose server gets a kill -9 in the middle of a run."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import scripted_judge
from synthetic_instruction_tuner.engines.server import watch
from whole_runs import Sit

sys.path.insert(0, str(Path(__file__).parents[2] / "evaluation"))

from mt_bench_files import make_folder

QUESTIONS, TURNS = 2, 2
VARIANTS = 4 * 2  # of two students
REPLIES = VARIANTS * QUESTIONS * TURNS


@contextmanager
def judge(log: Path, most: int = 1000, port: int = 0) -> Iterator[int]:
    """A judge in a process of its own; yields its port."""
    line = [sys.executable, scripted_judge.__file__, str(port), str(log), str(most)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def asked(log: Path) -> list[str]:
    return log.read_text().split()


def scores(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluation/metrics/comparison_summary.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["benchmark"].startswith("mt_bench")]


def test_a_killed_judge_stops_the_run_and_the_next_one_asks_only_for_what_is_missing(
    sit: Sit, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.0)
    make_folder(tmp_path / "data" / "mt_bench")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    shutil.copytree(finished, killed)
    log, other_log = tmp_path / "log", tmp_path / "other"

    def evaluate(folder: Path, port: int, outage: float = 30) -> tuple[int, str, str]:
        named = f"evaluate.mt_bench.judge.model={{path: scripted, url: 'http://127.0.0.1:{port}/v1'}}"
        chosen = ["evaluate.benchmarks=[mt_bench]", f"evaluate.data_dir={tmp_path / 'data'}", named]
        chosen += [f"evaluate.mt_bench.items={QUESTIONS}", "evaluate.mt_bench.max_new_tokens=6"]
        chosen += ["engine.concurrency=1", "engine.max_retries=1", f"engine.outage={outage}"]
        return sit("evaluate", "-d", folder, *(part for setting in chosen for part in ("--set", setting)))

    with judge(log, most=11) as port:
        code, _, err = evaluate(killed, port, outage=0.5)
    shutil.copytree(killed, whole)
    place = f"The server http://127.0.0.1:{port}/v1"
    assert code == 1
    assert f"{place} has been away for" in err and "The run waits for it, up to 0.5 s (engine.outage)." in err
    assert f"{place} has been unavailable for 0.5 s." in err and "Start it and run the same command again" in err
    assert len(asked(log)) == 11 and not scores(killed)

    with judge(log, port=port):  # back at its place
        code, _, err = evaluate(killed, port)
    assert code == 0, err
    assert len(asked(log)) == len(set(asked(log)))

    with judge(other_log) as port:
        code, _, err = evaluate(whole, port, outage=31)
    assert code == 0, err
    assert scores(killed) == scores(whole) and len(scores(killed)) >= VARIANTS
