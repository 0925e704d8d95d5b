"""Benchmark items as texts, which no training record may contain.

Items are read from files in the shape of their benchmark: rows with ``prompt`` (IFEval), ``question`` and
choices (MMLU), ``turns`` (MT-Bench), ``description`` (AgentBench), or a usual shape of records. Other rows, such as
models' answers to a benchmark, are skipped.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from synthetic_instruction_tuner.data_files.reading import read_rows
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError, record_from_row
from synthetic_instruction_tuner.data_files.text_streams import utf8_stream
from synthetic_instruction_tuner.errors import UserError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".txt")
DELIMITERS = ",;\t|"
PLAIN_TEXTS = ("prompt", "question", "description", "problem", "query", "goal", "text")
OTHER_TEXTS = ("ctx", "stem", "sentence")  # of HellaSwag, ARC, WinoGrande; only where nothing else is the question
NESTED = ("question", "doc")  # objects with the question in them, as in ARC and in logs of lm-evaluation-harness
LINE_END = re.compile(r"\r\n|[\r\n]")  # Unicode's other line breaks are part of a text
LETTERS = "ABCDEFGH"
Match = Literal["exact", "overlap"]
TRAINING = re.compile(r"(?<![a-z])train(ing)?(?![a-z])")


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One text with which a benchmark asks.

    Attributes:
        id: such as ``mmlu/astronomy_test/12``; the same on every machine.
        text: the question, or one turn.
        options: the answers to choose from, if there are any.
    """

    id: str
    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchmarkSet:
    """The available items of a benchmark, or why there are none.

    Attributes:
        name: the benchmark, or ``file NAME`` for a user's file; no two files have the same name.
        items: distinct items.
        origin: where they come from, without paths: ``folder``, ``Hub google/IFEval``, ``generated``, ``file``.
        published: the number of items in the whole benchmark, where that is known.
        problem: why the benchmark cannot be checked, or not in full; empty when it can.
        match: how its items are looked for unless the settings say otherwise; see `filtering.contamination.rule`.
    """

    name: str
    items: tuple[BenchmarkItem, ...] = ()
    origin: str = ""
    published: int | None = None
    problem: str = ""
    match: Match = "overlap"

    @cached_property
    def digest(self) -> str:
        """A short hash of the items."""
        whole = hashlib.sha256()
        for item in self.items:
            for text in (item.id, item.text, *item.options):
                whole.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return whole.hexdigest()[:16]


def items_of_folder(name: str, folder: Path) -> Iterator[BenchmarkItem]:
    """Yields the items in all files below a folder, in the files' order; unreadable files are skipped."""
    for file in benchmark_files(folder):
        try:
            yield from items_of_file(f"{name}/{file.relative_to(folder).with_suffix('').as_posix()}", file)
        except UserError:
            continue


def benchmark_files(folder: Path) -> list[Path]:
    """Returns the files below a folder that may contain items, in order, without training parts of benchmarks."""
    files = (f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
    return sorted(f for f in files if not TRAINING.search(f.relative_to(folder).as_posix().lower()))


def items_of_file(name: str, file: Path, without: list[int] | None = None) -> Iterator[BenchmarkItem]:
    """Yields a file's items.

    Args:
        name: starts their ids.
        file: the file.
        without: the numbers of rows and lines without an item are added here.

    Raises:
        UserError: the file cannot be read.
    """
    for number, row in _rows(file):
        texts = list(texts_of_row(row)) if isinstance(row, Mapping) else []
        if not texts and without is not None:
            without.append(number)
        if not texts:
            continue
        row_id = next(
            (str(row[k]) for k in ("key", "question_id", "prompt_id", "id") if _is_id(row.get(k))), str(number)
        )
        for turn, (text, options) in enumerate(texts, 1):
            suffix = f".{turn}" if len(texts) > 1 else ""
            yield BenchmarkItem(f"{name}/{row_id}{suffix}", text, options)


def texts_of_row(row: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the texts with which a benchmark's row asks, each with the options to choose from."""
    if "prompt_template" in row:  # a judge's prompt
        return
    row = {str(name).strip().lower(): value for name, value in row.items()} | dict(row)
    for name in ("turns", "prompt", *PLAIN_TEXTS[1:]):
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            extra = row.get("input")
            yield (f"{value}\n{extra}" if isinstance(extra, str) and extra.strip() else value), _options(row)
            return
        if isinstance(value, list) and value and all(isinstance(turn, str) for turn in value):
            yield from ((turn, ()) for turn in value if turn.strip())
            return
    try:
        record = record_from_row(row, "", {})
    except ShapeError:
        inner = next((row[name] for name in NESTED if isinstance(row.get(name), Mapping)), None)
        if inner and not any(isinstance(inner.get(name), Mapping) for name in NESTED):
            yield from texts_of_row(inner)
        elif text := next((row[n] for n in OTHER_TEXTS if isinstance(row.get(n), str) and row[n].strip()), ""):
            yield text, _options(row)
        return
    for text in (*(m.content for m in record.history if m.role == "user"), record.instruction):
        if text.strip():
            yield text, ()


def distinct(items: Iterable[BenchmarkItem]) -> tuple[BenchmarkItem, ...]:
    """Returns the items with distinct texts and options, the first of equal ones."""
    found: dict[tuple[str, tuple[str, ...]], BenchmarkItem] = {}
    for item in items:
        found.setdefault((item.text, item.options), item)
    return tuple(found.values())


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    if file.suffix.lower() in (".csv", ".tsv"):
        yield from _csv_rows(file)
    elif file.suffix.lower() == ".txt":
        lines = LINE_END.split(_read_text(file))
        yield from ((number, {"text": line}) for number, line in enumerate(lines, 1) if line.strip())
    else:
        yield from ((number, {"text": row} if isinstance(row, str) else row) for number, row, _ in read_rows(file))


def _csv_rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows by their header; MMLU's first files have none, but columns for question, four choices and a letter."""
    csv.field_size_limit(10**9)
    text = _read_text(file)
    delimiter = _delimiter(LINE_END.split(text, 1)[0])
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = rows[0] if rows else []
    if len(header) == 6 and header[5].strip() in set(LETTERS[:4]):
        yield from ((n, {"question": r[0], "choices": r[1:5]}) for n, r in enumerate(rows, 1) if len(r) == 6)
        return
    for number, row in enumerate(rows[1:], 1):
        if len(header) == 1 < len(row):  # a text without quotation marks, which has the delimiter
            row = [delimiter.join(row)]
        yield number, dict(zip((h.strip() for h in header), row, strict=False))


def _delimiter(header: str) -> str:
    """The delimiter that finds the most names of an item's text in the header; a comma without any."""

    def names(delimiter: str) -> int:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return sum(cell.strip().lower() in PLAIN_TEXTS for cell in cells)

    return max(DELIMITERS, key=names)


def _read_text(file: Path) -> str:
    with utf8_stream(file) as stream:
        return stream.read().decode("utf-8", errors="replace").replace("\r\n", "\n")


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    choices: Any = row.get("choices", row.get("options"))
    if isinstance(choices, Mapping):
        choices = choices.get("text")
    if isinstance(choices, list) and all(isinstance(c, Mapping) for c in choices):
        choices = [c.get("text") for c in choices]
    if choices is None:
        named = [row[f"choice{n}"] for n in range(8) if row.get(f"choice{n}") is not None]
        choices = named or [row[letter] for letter in LETTERS if row.get(letter) is not None]
    if not isinstance(choices, list) or not all(isinstance(c, (str, int, float)) for c in choices):
        return ()
    return tuple(map(str, choices))


def _is_id(value: object) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or (isinstance(value, int) and not isinstance(value, bool))
