"""What tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic_instruction_tuner.cli import app


@pytest.fixture
def sit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[int, str, str]]:
    """Runs a command line in an empty folder; returns its exit code, its output and its messages."""
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return app._exit_code(line.split()), *capsys.readouterr()

    return call
