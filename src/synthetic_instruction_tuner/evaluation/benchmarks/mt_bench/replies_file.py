"""Keeps the judge's replies in a file, a line for each, so that a command that was interrupted goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from synthetic_instruction_tuner.data_files.atomic_writing import AppendedLines
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Reply


class RepliesFile:
    """Replies in a JSONL file; a `KeptReplies`. A line that was cut off by a crash is asked for again.

    Args:
        path: the file; made where it does not exist.

    Raises:
        UserError, RunError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._kept = dict[str, Reply]()
        self._file = AppendedLines(path)
        for line in self._file.lines:
            self._take(line)

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
        self._file.add({"key": key, "reply": reply.text, "cut": reply.cut})

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            key, text, cut = row["key"], row["reply"], row["cut"]
        except (ValueError, KeyError, TypeError):
            return
        if isinstance(key, str) and isinstance(text, str) and isinstance(cut, bool):
            self._kept[key] = Reply(text, cut)
