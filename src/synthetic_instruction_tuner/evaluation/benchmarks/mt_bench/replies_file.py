"""Keeps the judge's replies in a file, a line for each, so that a command that was interrupted goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from synthetic_instruction_tuner.data_files.atomic_writing import write_error
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Reply


class RepliesFile:
    """Replies in a JSONL file; a `KeptReplies`. A line that was cut off by a crash is asked for again.

    Args:
        path: the file; made where it does not exist.

    Raises:
        UserError, RunError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._kept = path, dict[str, Reply]()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.seek(0)
            content = self._file.read()
            for line in content.splitlines():
                self._take(line)
            if content and not content.endswith(b"\n"):
                self._file.write(b"\n")
        except OSError as error:
            raise write_error(path, error) from error

    def __len__(self) -> int:
        return len(self._kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def find(self, key: str) -> Reply | None:
        """Returns the reply under a key."""
        return self._kept.get(key)

    def add(self, key: str, reply: Reply) -> None:
        """Writes a reply through to the disk.

        Raises:
            UserError, RunError: it cannot be written.
        """
        self._kept[key] = reply
        line = json.dumps({"key": key, "reply": reply.text, "cut": reply.cut}) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from error

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            key, text, cut = row["key"], row["reply"], row["cut"]
        except (ValueError, KeyError, TypeError):
            return
        if isinstance(key, str) and isinstance(text, str) and isinstance(cut, bool):
            self._kept[key] = Reply(text, cut)
