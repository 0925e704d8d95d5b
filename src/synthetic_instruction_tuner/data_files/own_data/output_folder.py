"""The folder that a verb on files writes: never the user's own files; an incomplete one is recognizable."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import TEMPORARY, lock, write_error, write_text
from synthetic_instruction_tuner.data_files.hub_rows import address_fault, is_hub_name
from synthetic_instruction_tuner.errors import UserError


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that holds a mark of the verb that wrote it, so that the same verb may replace its files.

    Attributes:
        path: the folder.
        verb: ``filter``, ``dedup`` or ``prefer``.
    """

    path: Path
    verb: str

    @property
    def mark(self) -> str:
        """The name of the marking file."""
        return f".sit-{self.verb}"

    def check(self, inputs: Sequence[Path], force: bool = False) -> None:
        """Checks the places before anything is read or written.

        Args:
            inputs: the files that will be read.
            force: whether the folder may hold files that the verb did not write.

        Raises:
            UserError: an input is missing or lies in the folder, or the folder holds other files.
        """
        inputs = [file for file in inputs if not is_hub_name(file)]
        for file in inputs:
            if not file.is_file():
                if (remote := address_fault(file)) is not None:
                    raise remote
                cause = "It is not a file." if file.exists() else "It does not exist."
                raise UserError(f"The file {file} cannot be read.", cause)
        try:
            names = [p.name for p in self.path.iterdir()] if self.path.exists() else []
            there = sorted(name for name in names if not TEMPORARY.fullmatch(name))
        except OSError as error:
            cause = error.strerror or str(error)
            raise UserError(f"The output {self.path} cannot be used as a folder.", cause) from None
        if there and self.mark not in there and not force:
            more = " and more" if len(there) > 3 else ""
            or_force = ", or add --force to replace files of the same names in it" if self.verb == "dedup" else ""
            raise UserError(
                f"The output folder {self.path} is not empty.",
                f"It contains {', '.join(there[:3])}{more}, which 'sit {self.verb}' did not write.",
                f"Name a new folder with -o{or_force}.",
            )
        for file in inputs:
            if file.resolve().parent == self.path.resolve():
                problem = f"The input {file} is in the output folder."
                raise UserError(problem, "It could be overwritten.", "Name another folder with -o.")

    @contextmanager
    def claimed(self, report: str) -> Iterator[None]:
        """Marks the folder, so that an interrupted call can be repeated, and holds it while the block runs.

        The old report is removed. The new one is written last: where it exists, the output is complete.

        Args:
            report: the report's file name.

        Raises:
            UserError: another process is writing into the folder, or it cannot be written.
            RunError: the disk is full.
        """
        with self._held():
            text = f"Written by 'sit {self.verb}', which may replace the files of this folder while this file exists.\n"
            write_text(self.path / self.mark, text)
            try:
                (self.path / report).unlink(missing_ok=True)
            except OSError as error:
                raise write_error(self.path / report, error) from error
            yield

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Locks the folder itself; that leaves nothing behind, however the process ends."""
        if sys.platform == "win32":  # where folders cannot be opened
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise write_error(self.path, error) from error
        try:
            if not lock(handle):
                raise UserError(
                    f"The output folder {self.path} is in use.",
                    "Another process is writing into it.",
                    "Wait for it to end, or name another folder with -o.",
                )
            yield
        finally:
            os.close(handle)
