"""MMLU's questions, read from files and checked: the first CSV files, those with a header, the Hub's Parquet files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.reading import read_rows
from synthetic_instruction_tuner.data_files.text_streams import utf8_stream
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.items import benchmark_files
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.subjects import CATEGORY

NAME = "mmlu"
COUNT = 14_042  # questions of the published test part
SHOTS = 5  # solved examples of each subject
LETTERS = "ABCD"
HEADERS = (
    ("question", "choice0", "choice1", "choice2", "choice3", "answer"),
    ("question", "A", "B", "C", "D", "answer"),
)
TABLES, ROWS = (".csv",), (".parquet", ".jsonl", ".ndjson", ".json")
PARTS = {"test": "test", "dev": "dev", "val": "validation", "validation": "validation"}
_PART = re.compile(r"(?<![a-z])(test|dev|validation|val)(?![a-z])")


@dataclass(frozen=True, slots=True)
class MmluItem:
    """A question with four options, of which the one at `right` is right.

    Attributes:
        id: ``mmlu-SUBJECT-NUMBER``, counted from 0 in the order of the subject's file.
    """

    id: str
    subject: str
    question: str
    options: tuple[str, str, str, str]
    right: int

    @property
    def prompt(self) -> str:
        """The question with its lettered options, as the model reads it."""
        lines = (f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=True))
        return "\n".join((self.question.strip(), *lines, "Answer:"))


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of a folder: those of the test part, and the solved examples of each subject."""

    test: tuple[MmluItem, ...]
    examples: Mapping[str, tuple[MmluItem, ...]]

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of the test part, in their order."""
        return tuple(dict.fromkeys(item.subject for item in self.test))

    @property
    def digest(self) -> str:
        """A hash of all questions, the same for every file format."""
        return items_digest((*self.test, *(item for subject in self.subjects for item in self.examples[subject])))


def read_questions(folder: Path) -> Questions:
    """Returns the questions below a folder, subject by subject in alphabetical order.

    Raises:
        UserError: a file is damaged or of another form, a subject is there twice or has fewer examples than five, or
            there are no questions.
    """
    found: dict[str, dict[str, list[MmluItem]]] = {"test": {}, "dev": {}}
    owners: dict[tuple[str, str], Path] = {}
    for part, file in _files(folder):
        read = _subjects_of(file)
        for subject, items in read.items():
            if (other := owners.setdefault((part, subject), file)) != file:
                cause = f"{part} is both in {other} and in {file}."
                raise UserError(f"The subject {subject} of MMLU is there twice.", cause, "Remove one of the files.")
            found[part][subject] = items
    tested = sorted(found["test"])
    if not tested:
        fix = "Put test/ and dev/ of MMLU there, or run 'sit benchmarks fetch'."
        raise UserError("The folder of mmlu holds no questions.", f"{folder} has no file of its test part.", fix)
    if short := [subject for subject in tested if len(found["dev"].get(subject, ())) < SHOTS]:
        count, few = len(found["dev"].get(short[0], ())), len(short)
        more = f", and {few - 1} other subjects have too few" if few > 1 else ""
        raise UserError(
            f"The subject {short[0]} of MMLU has {count} of {SHOTS} solved examples{more}.",
            f"{folder} has questions of it, but its dev part is missing or cut off.",
            f"Put dev/{short[0]}_dev.csv there, or run 'sit benchmarks fetch'.",
        )
    examples = {subject: tuple(found["dev"][subject][:SHOTS]) for subject in tested}
    return Questions(tuple(item for subject in tested for item in found["test"][subject]), examples)


def items_digest(items: Sequence[MmluItem]) -> str:
    """Returns a hash of questions, the same for every file format."""
    plain = [[item.subject, item.question, list(item.options), item.right] for item in items]
    return hashlib.sha256(json.dumps(plain).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields part and path of the files of the test and dev parts; the Hub's one with all subjects is enough."""
    files = [file for file in benchmark_files(folder) if file.suffix.lower() in TABLES + ROWS]
    whole = [file for file in files if file.parent.name == "all"]
    for file in whole or files:
        named = _PART.findall(file.stem.lower().replace("_", " ")) or _PART.findall(file.parent.name.lower())
        if named and (part := PARTS[named[-1]]) in ("test", "dev"):
            yield part, file


def _subjects_of(file: Path) -> dict[str, list[MmluItem]]:
    """Returns the questions of a file by subject, which its rows say, or its name or folder."""
    named = re.sub(r"[_-](test|dev)$", "", file.stem.lower())
    if named not in CATEGORY and file.parent.name in CATEGORY:
        named = file.parent.name
    found: dict[str, list[MmluItem]] = {}
    for number, question, options, right, said in _rows(file):
        subject = said or named
        if subject not in CATEGORY:
            near = nearest(subject, list(CATEGORY))
            cause = f"Row {number} of {file} is of the subject {subject!r}, which MMLU does not have."
            raise UserError("A subject of MMLU is unknown.", cause, f"Did you mean {near}?" if near else "")
        items = found.setdefault(subject, [])
        items.append(MmluItem(f"{NAME}-{subject}-{len(items)}", subject, question, options, right))
    return found


def _rows(file: Path) -> Iterator[tuple[int, str, tuple[str, str, str, str], int, str]]:
    """Yields number, question, options, the right one, and the subject where the row says it."""
    cells = _table_rows(file) if file.suffix.lower() in TABLES else _object_rows(file)
    for number, question, options, answer, subject in cells:
        if not isinstance(question, str) or not question.strip():
            raise _broken(file, number, "It has no question.")
        if len(options) != len(LETTERS) or not all(isinstance(option, str) for option in options):
            raise _broken(file, number, f"It does not have {len(LETTERS)} options.")
        one, two, three, four = options
        yield number, question, (one, two, three, four), _right(answer, file, number), subject


def _table_rows(file: Path) -> Iterator[tuple[int, Any, Sequence[Any], Any, str]]:
    csv.field_size_limit(10**9)
    with utf8_stream(file) as stream:
        text = stream.read().decode("utf-8", errors="replace")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UserError(
            f"{file} is no CSV file.", f"{error}.", "Get the file again ('sit benchmarks fetch')."
        ) from error
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    headless = len(header) == len(HEADERS[0]) and header[-1] in LETTERS and header not in HEADERS
    if rows and not headless and header not in HEADERS:
        shown = ",".join(header)
        cause = f"{file} begins with {shown[:80]!r}; known are {' and '.join(','.join(h) for h in HEADERS)}, and none."
        raise UserError("A file of MMLU has an unknown header.", cause, "Name its columns like that.")
    for number, row in enumerate(rows[0 if headless else 1 :], 1 if headless else 2):
        if not row:
            continue
        if len(row) != len(HEADERS[0]):
            raise _broken(file, number, f"It has {len(row)} columns instead of {len(HEADERS[0])}.")
        yield number, row[0], row[1:5], row[5], ""


def _object_rows(file: Path) -> Iterator[tuple[int, Any, Sequence[Any], Any, str]]:
    for number, row, _ in read_rows(file):
        if isinstance(row, ShapeError):
            raise _broken(file, number, f"It is cut off or damaged ({row}).")
        if not isinstance(row, Mapping) or not {"question", "answer"} <= set(row):
            raise _broken(file, number, "It lacks question or answer.")
        options = row.get("choices")
        if options is None:
            options = [row.get(name) for name in HEADERS[0][1:5]]
        yield number, row["question"], list(options), row["answer"], str(row.get("subject") or "")


def _right(answer: Any, file: Path, number: int) -> int:
    text = str(answer).strip()
    if text in LETTERS and len(text) == 1:
        return LETTERS.index(text)
    if text in ("0", "1", "2", "3"):
        return int(text)
    raise _broken(file, number, f"Its answer {text[:20]!r} is neither a letter from A to D nor a number from 0 to 3.")


def _broken(file: Path, number: int, cause: str) -> UserError:
    fix = "Get the file again ('sit benchmarks fetch'), or correct that row."
    return UserError(f"Row {number} of {file} is no question of MMLU.", cause, fix)
