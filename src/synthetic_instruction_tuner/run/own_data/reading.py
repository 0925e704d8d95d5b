"""Reads the files of one kind, in order, and notes what was read from which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.config.sections.data import Kind
from synthetic_instruction_tuner.data_files.atomic_writing import write_jsonl
from synthetic_instruction_tuner.data_files.own_data.sources import EXPECTED, content_of, path_of
from synthetic_instruction_tuner.data_files.reading import SAID, Malformed, no_rows
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.reporting.formatting import counted

T = TypeVar("T")


@dataclass
class Read:
    """What has been read.

    Attributes:
        sources: one object per file: kind, file, hash, size, rows, malformed.
        malformed: the rows that were nothing.
        thoughts: how many records or pairs have thoughts before an answer; they are kept apart from it.
    """

    sources: list[dict[str, Any]] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    thoughts: int = 0

    def note(self) -> str:
        """Returns what was read from where, and what was not."""
        notes = [f"{counted(source['rows'], source['kind'])} from {source['file']}" for source in self.sources]
        if self.thoughts:
            notes.append(f"{self.thoughts:,} with thoughts, kept apart from the answers")
        if self.malformed:
            n, places = len(self.malformed), ", ".join(one.place for one in self.malformed[:SAID])
            notes.append(f"{counted(n, 'rows')} could not be read ({places}{' and more' * (n > SAID)})")
        return "; ".join(notes)


def read_files(
    config: Config, kind: Kind, read: Read, reader: Callable[[str, list[Malformed]], Iterator[T]]
) -> Iterator[T]:
    """Yields what the files hold, up to `data.count` in all.

    Args:
        config: names the files.
        kind: which of them.
        read: receives what was read.
        reader: reads one file; collects the rows that are not of the kind.

    Raises:
        UserError: a file cannot be read, or has nothing of the kind.
        RunError: a file changes meanwhile.
    """
    left = config.data.count
    for name in config.data.files(kind):
        malformed: list[Malformed] = []
        before, rows = content_of(name), 0
        for found in islice(reader(name, malformed), left):
            rows += 1
            read.thoughts += has_thoughts(found)
            yield found
        if not rows and left != 0:
            raise no_rows([path_of(name)], EXPECTED[kind])
        if content_of(name) != before:
            raise RunError(f"{path_of(name)} changed while it was read.", "", "Run the same command again.")
        left = None if left is None else left - rows
        read.sources.append({"kind": kind, **before, "rows": rows, "malformed": len(malformed)})
        read.malformed += malformed


def has_thoughts(found: object) -> bool:
    """Returns whether a record, or one of a pair's answers, came with thoughts."""
    if isinstance(found, PreferencePair):
        return any(name.endswith("_thinking") for name in found.provenance or ())
    return isinstance(found, Record) and found.thinking is not None


def contents(config: Config, kinds: Sequence[Kind]) -> dict[str, Any]:
    """Returns what is known of the files' content, as a stage's part; nothing where there are none."""
    data = config.data
    found: dict[str, Any] = {
        kind: [content_of(name) for name in data.files(kind)] for kind in kinds if data.files(kind)
    }
    if not found:
        return {}
    kept = {"thoughts": data.thoughts} if data.keep_thoughts and found.keys() - {"prompts"} else {}
    return {"data": found | ({"count": data.count} if data.count else {}) | kept}


def write_malformed(path: Path, malformed: Sequence[Malformed]) -> None:
    """Writes the rows that are not of the kind beside the data; no file where there are none."""
    if malformed:
        write_jsonl(path, (one.to_json() for one in malformed))
    elif path.is_file():
        path.unlink()
