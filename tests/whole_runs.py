"""Fixtures around one small finished run on the embedded models, made once and shared by all who test whole runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import record_path
from synthetic_instruction_tuner.cli import app

SETTINGS = """
models:
  responders: [nano:responder-llama, nano:responder-qwen2]
  students: [nano:student-llama, nano:student-qwen2]
generate: {batch: 6, instruction: {max_new_tokens: 48}, response: {max_new_tokens: 64}}
filter: {min_words: 3}
prefer: {batch: 8, sampling: {max_new_tokens: 48}}
train:
  sft: {num_train_epochs: 1, per_device_train_batch_size: 4, save_steps: 2, logging_steps: 1}
  prompt_tuning: {num_train_epochs: 1, per_device_train_batch_size: 4, save_steps: 2}
  dpo: {num_train_epochs: 1, per_device_train_batch_size: 4, save_steps: 2}
evaluate:
  nano_ifeval: {items: 8, max_new_tokens: 12}
  nano_mmlu: {items: 8}
  nano_mt: {items: 8, max_new_tokens: 12}
agents: {benchmarks: [nano_db], items: 3, max_new_tokens: 24}
"""
Sit = Callable[..., tuple[int, str, str]]


def command(settings: Path, folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "synthetic_instruction_tuner", "run", *arguments(settings, folder), *more]


def arguments(settings: Path, folder: Path) -> list[str]:
    return ["-c", str(settings), "--limit", "24", "-d", str(folder)]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pipeline") / "tiny.yaml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture(scope="session")
def finished(settings: Path) -> Path:
    """A finished run, made in a process of its own; tests that change it work on copies.

    Beside it lies `seen.json`, with the files whose functions were handed a record on the way.
    """
    folder = settings.parent / "finished"
    watched = [sys.executable, str(Path(record_path.__file__)), str(settings.parent / "seen.json")]
    done = subprocess.run([*watched, *arguments(settings, folder)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def sit(settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Sit:
    """Calls the command line in this process; returns exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def run(sit: Sit, settings: Path) -> Sit:
    """Calls ``sit run`` with the tiny settings in a folder."""
    return lambda folder, *more: sit("run", "-c", settings, "--limit", 24, "-d", folder, *more)
