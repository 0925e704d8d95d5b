"""A disk that fills up in the middle of any stage: a clear message, nothing lost, and the same result in the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_pipeline import RESULTS, contents, statuses

from small_disk import small_disk
from synthetic_instruction_tuner.run.checks import before_start, finding
from synthetic_instruction_tuner.run.pipeline import stage_names
from whole_runs import Sit

pytestmark = pytest.mark.xdist_group("pipeline")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "96m") as place:
        yield place


def fill(disk: Path, leave: int) -> None:
    """Leaves so many bytes free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with (disk / "ballast").open("wb") as ballast:
        ballast.write(b"x" * max(0, free - leave))


def room(*_: object) -> finding.Check:
    return finding.Check("disk", True, "there was room when the run began")


@pytest.mark.parametrize("leave", [0, 250_000])
def test_every_stage_survives_a_full_disk(
    leave: int,
    disk: Path,
    finished: Path,
    run: Sit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(before_start, "check_disk", room)
    folder = disk / "run"
    stopped = []
    for stage in stage_names():
        fill(disk, leave)
        code, _, error = run(folder, "--until", stage)
        assert "Traceback" not in error and "unexpected" not in error, error
        if code:
            assert code == 1 and "disk is full" in error.lower(), error
            stopped.append(stage)
        (disk / "ballast").unlink()
        if code:
            code, _, error = run(folder, "--until", stage)
        assert code == 0, error
    if leave == 0:
        assert stopped == list(stage_names())
    else:
        assert "sft" in stopped or "generate" in stopped
    assert set(statuses(folder).values()) == {"done"}
    assert contents(folder, RESULTS) == contents(finished, RESULTS)
