"""The folder of one training: checkpoints that survive a kill, and an adapter that appears whole or not at all.

A checkpoint counts only if it is sealed and unchanged (`sealed_folder`); one that is not is put aside, and the one
before it is taken. The adapter is written to a temporary folder, which is then renamed; it counts as long as its files
are those that ``metrics.json`` lists. A fingerprint of everything that decides the outcome prevents a training with
changed settings from continuing an old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import apply_umask
from synthetic_instruction_tuner.data_files.file_hashes import Hashes, clear_way, first_fault, hashes, put_aside
from synthetic_instruction_tuner.training.files.checkpoint_folders import UNFINISHED, in_order, remove, step_of
from synthetic_instruction_tuner.training.files.sealed_folder import (
    fault_of,
    owner,
    read_signed,
    sync_files,
    write_signed,
)
from synthetic_instruction_tuner.training.metrics import TrainingMetrics

METRICS = "metrics.json"
LOGS = ("data_order.jsonl", "training_log.jsonl")

OnNote = Callable[[str], None]
"""Called with what the user should know, in one line: a checkpoint that is damaged, for example."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one training.

    Attributes:
        output: the folder; ``final`` in it holds the adapter, ``checkpoints`` the work.
        fingerprint: hash of what decides the outcome (settings, data, model, seed).
        on_note: called with what is damaged and therefore not used.
    """

    output: Path
    fingerprint: str
    on_note: OnNote | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints; it is removed when training is done."""
        return self.output / "checkpoints"

    @property
    def final(self) -> Path:
        """The folder of the finished adapter."""
        return self.output / "final"

    def note(self, text: str) -> None:
        """Tells the caller something, if it wants to know."""
        if self.on_note:
            self.on_note(text)

    def done(self) -> TrainingMetrics | None:
        """Returns the metrics if this training, with these settings and data, is finished and its files are whole."""
        try:
            record = read_signed(self.output / METRICS)
            files = record.pop("files")
            same = record.pop("fingerprint") == self.fingerprint
            metrics = TrainingMetrics.from_json(record) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if metrics and (reason := first_fault(self.output, files)):
            self.note(f"{self.output.name}: {reason}; training it again")
            return None
        if metrics:
            remove(self.checkpoints)  # left when the process died right at the end
        return metrics

    def open(self) -> Path | None:
        """Prepares the folder and returns the last complete and unchanged checkpoint, if any.

        Checkpoints of another training are removed. What is damaged is put aside until the training is done.
        """
        clear_way(self.checkpoints / "any", self.output.parent)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        remove(self.checkpoints / UNFINISHED)
        whole = [path for path in in_order(self.checkpoints) if self.is_whole(path)]
        return whole[-1] if whole else None

    def go_back(self, step: int) -> Path | None:
        """Returns the last whole checkpoint after at most so many steps, if any; later ones are then gone."""
        found = None
        for path in in_order(self.checkpoints):
            if step_of(path) > step:
                remove(path)
            elif self.is_whole(path):
                found = path
        return found

    def is_whole(self, folder: Path) -> bool:
        """Returns whether a sealed folder can be used; if not, it is no longer there afterwards."""
        other = owner(folder) if folder.is_dir() and not folder.is_symlink() else None
        if other is not None and other != self.fingerprint:
            remove(folder)
            return False
        reason = fault_of(folder)
        if reason is None:
            return True
        aside = self.checkpoints / "damaged"
        clear_way(aside / folder.name, self.checkpoints)
        aside.mkdir(exist_ok=True)
        put_aside(folder, aside)
        self.note(f"{self.output.name}/checkpoints/{folder.name} is not used: {reason}; moved to checkpoints/damaged")
        return False

    def finish(self, save: Callable[[Path], None], metrics: TrainingMetrics) -> None:
        """Moves the adapter into place, writes the metrics and removes the checkpoints.

        Args:
            save: writes the adapter into the folder it is given.
            metrics: cost and outcome of the training.
        """
        remove(self.output / METRICS)
        beside = self.output / "final.tmp"
        remove(beside)
        beside.mkdir()
        save(beside)
        apply_umask(beside)
        sync_files(beside)
        remove(self.final)
        beside.rename(self.final)
        write_metrics(self.output, metrics, self.fingerprint)
        remove(self.checkpoints)


def write_metrics(output: Path, metrics: TrainingMetrics, fingerprint: str) -> None:
    """Writes ``metrics.json``: the metrics, which training they are of, and the hashes of its files."""
    record = metrics.to_json() | {"fingerprint": fingerprint, "files": result_files(output)}
    write_signed(output / METRICS, record)


def result_files(output: Path) -> Hashes:
    """Returns the hashes of the files that a finished training has left, without the metrics."""
    final = {f"final/{name}": entry for name, entry in hashes(output / "final").items()}
    return final | hashes(output, LOGS)
