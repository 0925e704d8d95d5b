"""A file that keeps the turns of all conversations as they are taken, so that an interruption loses none.

One JSON object a line: first what the conversations depend on, then turns and outcomes. A line that was cut off by a
kill is dropped; a file of other conversations is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from synthetic_instruction_tuner.data_files.atomic_writing import AppendedLines
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played
from synthetic_instruction_tuner.records import Message


class SavedPlay:
    """Reads what has been played and appends what is.

    Args:
        file: the file; it is made where there is none.
        key: what the conversations depend on: model, tasks, protocol, environment and settings.

    Attributes:
        played: by task, what the file held.

    Raises:
        UserError: the file is of other conversations, or is none of this kind.
    """

    def __init__(self, file: Path, key: Mapping[str, Any]) -> None:
        self.played: dict[str, Played] = {}
        self._written: dict[str, int] = {}
        self._file = AppendedLines(file)
        try:
            self._read(file, dict(key))
        except BaseException:
            self._file.close()
            raise
        if not self._file.lines:
            self._file.add({"conversations": dict(key)})

    def __enter__(self) -> SavedPlay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def turns(self, tasks: Sequence[str]) -> list[list[str]]:
        """Returns by task the turns that were taken, none where there are none."""
        return [list(self.played[name].turns) if name in self.played else [] for name in tasks]

    def add(self, task: str, played: Played) -> None:
        """Keeps a conversation's new turns, and its outcome with the whole conversation once it has ended."""
        known = self._written.get(task, 0)
        for text in played.turns[known:]:
            self._file.add({"task": task, "turn": text})
        self._written[task] = len(played.turns)
        if played.outcome is not None:
            messages = [{"role": m.role, "content": m.content} for m in played.messages]
            self._file.add({"task": task, "outcome": played.outcome.to_json(), "messages": messages})

    def _read(self, file: Path, key: dict[str, Any]) -> None:
        """Fills `played`."""
        for number, line in enumerate(self._file.lines):
            try:
                row = json.loads(line)
                self._take(row) if number else _check(row, key, file)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{file} is damaged in line {number + 1}.",
                    str(error),
                    "Move it away: the tasks are then played from the start.",
                ) from error

    def _take(self, row: dict[str, Any]) -> None:
        one = self.played.setdefault(row["task"], Played())
        if "turn" in row:
            one.turns.append(str(row["turn"]))
            self._written[row["task"]] = len(one.turns)
        else:
            one.outcome = Outcome.from_json(row["outcome"])
            one.messages = [Message(m["role"], m["content"]) for m in row["messages"]]


def _check(row: dict[str, Any], key: dict[str, Any], file: Path) -> None:
    found = row.get("conversations") if isinstance(row, dict) else None
    if not isinstance(found, dict):
        raise UserError(
            f"{file} holds no conversations.", "its first line is of another kind", "Name another folder with -o."
        )
    other = sorted(name for name in found.keys() | key.keys() if found.get(name) != key.get(name))
    if other:
        raise UserError(
            f"{file} holds other conversations.",
            f"they differ in {', '.join(other)}",
            "Name another folder with -o, or move the file away.",
        )
