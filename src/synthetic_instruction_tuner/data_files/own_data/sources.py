"""The files of section ``data``: what is in them, whose content that is, and what is wrong with them.

Rows are streamed. A file's content is known by its hash, so that a stage runs again only if the content has changed.
A data set of the Hub is known by its name alone: nothing is downloaded to find out whether it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from synthetic_instruction_tuner.data_files.file_hashes import file_hash
from synthetic_instruction_tuner.data_files.hub_rows import address_fault, is_hub_name
from synthetic_instruction_tuner.data_files.own_data.preference_rows import pair_from_row
from synthetic_instruction_tuner.data_files.reading import (
    READ,
    Malformed,
    fallback_id,
    file_name,
    no_rows,
    read_as,
    read_rows,
    with_free_id,
)
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError, record_from_row, with_fields
from synthetic_instruction_tuner.data_files.text_streams import BLOCK, utf8_stream
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import PreferencePair, Record

Kind = Literal["records", "prompts", "pairs"]
LINES = ".txt"  # a prompt per line
Stamp = tuple[Any, ...]
EXPECTED: dict[Kind, str] = {
    "records": READ,
    "prompts": "A row is read if it is a text, or has an instruction, prompt or question, or messages. "
    "All shapes are in docs/own-data.md.",
    "pairs": "A row is read if it has chosen and rejected, with the prompt before them or beside them. "
    "All shapes are in docs/own-data.md.",
}


def path_of(name: str) -> Path:
    """Returns the file that a setting names; a data set of the Hub keeps its name."""
    return Path(name) if is_hub_name(Path(name)) else Path(name).expanduser()


def content_of(name: str) -> dict[str, Any]:
    """Returns what a file's content is known by: its name without folder, size and hash; None where it has none.

    A file that has neither grown nor changed its time since it was last asked for is not read again.
    """
    path = path_of(name)
    stamp = stamp_of(path)
    known = _hash(path, stamp) if stamp else {"size": None, "hash": None}
    return {"file": file_name(path), **known}


def stamp_of(path: Path) -> Stamp | None:
    """Returns what changes when a file is written; None for what is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _hash(path: Path, _stamp: Stamp) -> dict[str, Any]:
    try:
        return dict(file_hash(path))
    except OSError:
        return {"size": None, "hash": None}


def read_own_records(
    name: str, malformed: list[Malformed], taken: set[str], keep_thoughts: bool = False
) -> Iterator[Record]:
    """Yields a file's records, with ids that are not taken; each says in its provenance where it is from.

    With `keep_thoughts`, thoughts before an answer stay in the response.

    Raises:
        UserError: the file cannot be read, or has no records.
    """
    file, content = path_of(name), content_of(name)
    for number, record in read_as(file, partial(record_from_row, keep_thoughts=keep_thoughts), malformed):
        yield _with_source(with_free_id(record, fallback_id(file, number), taken), content, number)


def read_prompts(name: str, malformed: list[Malformed], taken: set[str]) -> Iterator[Record]:
    """Yields a file's instructions as records without responses, as `read_own_records` does.

    A row may also be a plain text, and a file of plain text has an instruction per line. An answer that a row has
    stays among the fields in its provenance.
    """
    file, content = path_of(name), content_of(name)
    for number, record in read_as(file, _prompt, malformed, prompt_rows, EXPECTED["prompts"]):
        yield _with_source(with_free_id(record, fallback_id(file, number), taken), content, number)


def read_pairs(name: str, malformed: list[Malformed], keep_thoughts: bool = False) -> Iterator[PreferencePair]:
    """Yields a file's preference pairs. With `keep_thoughts`, thoughts before an answer stay in it.

    Raises:
        UserError: the file cannot be read, or has no pairs.
    """
    file, content = path_of(name), content_of(name)
    convert = partial(pair_from_row, keep_thoughts=keep_thoughts)
    for number, pair in read_as(file, convert, malformed, expected=EXPECTED["pairs"]):
        thoughts = {name: text for name, text in (pair.provenance or {}).items() if name.endswith("_thinking")}
        yield replace(pair, provenance={"source": _source(content, number), **thoughts})


def source_fault(kind: Kind, name: str) -> UserError | None:
    """Returns why nothing of this kind can be read from a file, or None; reads as far as the first row that can.

    A data set of the Hub is not looked at.
    """
    path = path_of(name)
    if is_hub_name(path):
        return None
    stamp = stamp_of(path)
    return _not_there(kind, path) if stamp is None else _fault(kind, name, stamp)


@lru_cache(maxsize=256)
def _fault(kind: Kind, name: str, _stamp: Stamp) -> UserError | None:
    try:
        require_rows(kind, name)
    except UserError as error:
        return error
    return None


def require_rows(kind: Kind, name: str) -> None:
    """Reads as far as the first row of this kind.

    Raises:
        UserError: there is none.
    """
    malformed: list[Malformed] = []
    if kind == "pairs":
        if next(read_pairs(name, malformed), None) is None:
            raise no_rows([path_of(name)], EXPECTED[kind])
    elif kind == "prompts":
        if next(read_prompts(name, malformed, set()), None) is None:
            raise no_rows([path_of(name)], EXPECTED[kind])
    else:
        require_answer(name, read_own_records(name, malformed, set()))


@lru_cache(maxsize=16)
def _read_through(kind: Kind, name: str, _stamp: Stamp | None) -> None:
    require_rows(kind, name)
    for _ in read_pairs(name, []) if kind == "pairs" else ():
        pass


def require_all(kind: Kind, name: str) -> None:
    """Reads a file of pairs to its end, and everything else as far as the first row of its kind.

    Raises:
        UserError: there is none, or the file is damaged further on.
    """
    _read_through(kind, name, stamp_of(path_of(name)))


def require_answer(name: str, records: Iterator[Record]) -> None:
    """Reads as far as the first record with a response.

    Raises:
        UserError: there is none.
    """
    found = False
    for record in records:
        found = True
        if record.response.strip():
            return
    if not found:
        raise no_rows([path_of(name)])
    cause = "Its rows are instructions alone."
    raise UserError(f"No record of {path_of(name)} has a response.", cause, "Name it under data.prompts instead.")


def _not_there(kind: Kind, path: Path) -> UserError:
    from difflib import get_close_matches

    cause = f"data.{kind} names it."
    if (remote := address_fault(path)) is not None:
        return remote
    if path.exists():
        what = "a folder" if path.is_dir() else "not a file"
        return UserError(f"{path} is {what}.", cause, "Name the files in it." if path.is_dir() else "Name a file.")
    fix = "Check the path; in a YAML file it is relative to that file, with --set to the working directory."
    try:
        files = sorted(path.parent.iterdir(), key=lambda p: (p.suffix == path.suffix, p.name))
        names = {p.stem: p.name for p in files if p.is_file()}  # of equal stems, the one with the same suffix
        near = [names[stem] for stem in get_close_matches(path.stem, names, n=1, cutoff=0.7)]
    except OSError:
        near = []
    return UserError(f"The file {path} does not exist.", cause, f"Did you mean {near[0]}? {fix}" if near else fix)


def _prompt(row: Any, default_id: str, source: dict[str, Any]) -> Record:
    record = record_from_row({"instruction": row} if isinstance(row, str) else row, default_id, source, strict=False)
    if not record.instruction.strip():
        raise ShapeError("the instruction is empty")
    left = {name: text for name, text in (("response", record.response), ("thinking", record.thinking)) if text}
    return replace(with_fields(record, left), response="", thinking=None)


def prompt_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    """Yields a file's rows; a file of plain text has one per line."""
    return _lines(file) if file.suffix.lower() == LINES else read_rows(file)


def _lines(file: Path) -> Iterator[tuple[int, Any, str]]:
    with utf8_stream(file) as stream:
        if b"\0" in stream.peek(BLOCK)[:BLOCK]:
            cause = "It looks like binary data, not like lines of text."
            raise UserError(f"No prompt could be read from {file}.", cause, "Name a text file, in UTF-8.")
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                text = line.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                yield number, ShapeError(f"not UTF-8 (byte {error.start})"), line[:200].decode("utf-8", "replace")
                continue
            yield number, text, text[:200]


def _with_source(record: Record, content: dict[str, Any], number: int) -> Record:
    """The record with its file, the file's hash and its row; a provenance that it came with is kept."""
    own = {
        name: v
        for name, v in record.provenance.items()
        if (name, v) not in (("file", content["file"]), ("number", number))
    }
    return replace(record, provenance=own | {"source": _source(content, number)})


def _source(content: dict[str, Any], number: int) -> dict[str, Any]:
    return {"file": content["file"], "number": number, "hash": content["hash"]}
