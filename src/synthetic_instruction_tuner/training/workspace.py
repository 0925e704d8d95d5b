"""The folder of one training: checkpoints that survive a kill, and an adapter that appears whole or not at all.

A checkpoint counts only once its marker file exists, and the marker is written last. The adapter is written to a
temporary folder, which is then renamed. A fingerprint of everything that decides the outcome prevents a training with
changed settings from continuing an old one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.atomic_writing import apply_umask, write_text
from synthetic_instruction_tuner.training.metrics import TrainingMetrics

MARKER = "complete.json"
KEPT = 2  # while one is being written, the other is the one to fall back to


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one training.

    Attributes:
        output: the folder; ``final`` in it holds the adapter, ``checkpoints`` the work.
        fingerprint: hash of what decides the outcome (settings, data, model, seed).
    """

    output: Path
    fingerprint: str

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints; it is removed when training is done."""
        return self.output / "checkpoints"

    @property
    def final(self) -> Path:
        """The folder of the finished adapter."""
        return self.output / "final"

    def done(self) -> TrainingMetrics | None:
        """Returns the metrics if this training, with these settings and data, is finished."""
        try:
            record = json.loads((self.output / "metrics.json").read_text())
            same = record.pop("fingerprint") == self.fingerprint and self.final.is_dir()
            metrics = TrainingMetrics.from_json(record) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if metrics:
            shutil.rmtree(self.checkpoints, ignore_errors=True)  # left when the process died right at the end
        return metrics

    def open(self) -> Path | None:
        """Prepares the folder and returns the last complete checkpoint, if any.

        Checkpoints of another training and incomplete ones are removed.
        """
        mark = self.checkpoints / "fingerprint"
        if not mark.is_file() or mark.read_text() != self.fingerprint:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            self.checkpoints.mkdir(parents=True)
            write_text(mark, self.fingerprint)
        complete = []
        for folder in self.checkpoints.glob("checkpoint-*"):
            if (folder / MARKER).is_file():
                complete.append(folder)
            else:
                shutil.rmtree(folder)
        return max(complete, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), default=None)

    def finish(self, save: Callable[[Path], None], metrics: TrainingMetrics) -> None:
        """Moves the adapter into place, writes the metrics and removes the checkpoints.

        Args:
            save: writes the adapter into the folder it is given.
            metrics: cost and outcome of the training.
        """
        (self.output / "metrics.json").unlink(missing_ok=True)
        beside = self.output / "final.tmp"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        save(beside)
        apply_umask(beside)
        sync_files(beside)
        shutil.rmtree(self.final, ignore_errors=True)
        beside.rename(self.final)
        write_text(self.output / "metrics.json", _json(metrics.to_json() | {"fingerprint": self.fingerprint}, indent=2))
        shutil.rmtree(self.checkpoints)


def complete_checkpoint(folder: Path, facts: dict[str, Any]) -> None:
    """Marks a checkpoint as complete, once all its files are on disk; `facts` are kept in the marker."""
    apply_umask(folder)
    sync_files(folder)
    write_text(folder / MARKER, _json(facts))


def checkpoint_facts(folder: Path) -> dict[str, Any]:
    """Returns what `complete_checkpoint` was given."""
    facts: dict[str, Any] = json.loads((folder / MARKER).read_text())
    return facts


def sync_files(folder: Path) -> None:
    """Waits until all files of the folder are on disk."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
