"""The folder of an export: it is there whole, or not at all.

It is built under a temporary name beside its place, synced and renamed. What a killed process has left is removed by
the next one. A file in it records what was exported, and the size and hash of each file.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from synthetic_instruction_tuner.data_files.atomic_writing import lock, sync_folder, write_error, write_text
from synthetic_instruction_tuner.data_files.file_hashes import first_fault, hashes
from synthetic_instruction_tuner.errors import RunError, UserError

RECORD = "sit_export.json"
CARD_FACTS = "card"  # of a record: what an export's card says; the export is the same whatever that is
_LONGEST = 40  # characters of a folder's name in a temporary name
_SPARE = 16 << 20  # bytes for what is small: tokenizer, card, configuration


def recorded(folder: Path) -> dict[str, Any] | None:
    """Returns what an export says of itself; None where the folder is none, or its record cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("export"), dict) else None


def is_whole(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Returns whether a folder holds the export that these facts describe, with every file as it was written."""
    found = recorded(folder)
    return found is not None and found["export"] == facts and _fault(folder, found) is None


def _same_export(found: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Returns whether two exports are of the same variant in the same form; their cards may differ."""
    one, other = ({name: value for name, value in each.items() if name != CARD_FACTS} for each in (found, facts))
    return one == other


def check_place(output: Path, facts: Mapping[str, Any], force: bool) -> None:
    """Stops where an export must not be written; nothing is changed.

    Args:
        output: the folder.
        facts: what will be exported.
        force: whether something else may be in its place.

    Raises:
        UserError: it holds other files, or is none that can be replaced.
    """
    if os.path.ismount(output):
        cause = "A disk is mounted there, and an export comes whole, under a new name."
        raise UserError(f"{output} cannot be an export's folder.", cause, "Name a folder within it with -o.")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is not a folder.", "", "Choose another place with -o.")
    try:
        there = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    except OSError as error:
        raise write_error(output, error) from error
    found = recorded(output)
    if not there or force or (found is not None and _same_export(found["export"], facts)):
        return
    if found is not None:
        held = f"It holds another export: {found['export'].get('student')}, {found['export'].get('variant')}."
    else:
        held = f"It contains {', '.join(there[:3])}{' and more' if len(there) > 3 else ''}."
    fix = (
        "Name a new folder with -o. With --force the export takes its place; files of yours are kept under a new name."
    )
    raise UserError(f"The folder {output} is not empty.", held, fix)


@contextmanager
def new_folder(output: Path, doing: str = "exporting to it") -> Iterator[Path]:
    """Yields an empty folder, which becomes the export when the block ends without an error.

    What was there before is removed if it was an export with nothing of the user's in it; else it is put aside.

    Args:
        output: where it will be.
        doing: what another process is told to be doing there.

    Raises:
        RunError: the disk is full.
        UserError: the place cannot be written, or another process is writing there.
    """
    target = output.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(target, doing)
        work = target.parent / f"{_stem(target)}{secrets.token_hex(8)}.export"
        work.mkdir()
        handle = os.open(work, os.O_RDONLY)
        lock(handle)
        try:
            yield work
            _sync(work)
            _put_in_place(work, target)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        finally:
            os.close(handle)
        sync_folder(target.parent)
    except OSError as error:
        if error.errno is None:  # of a library that reads; the system numbers its own
            raise
        raise write_error(output, error) from error


def write_record(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes what an export says of itself: what it is, and its files."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {RECORD}
    text = json.dumps({"export": dict(facts), "files": hashes(folder, sorted(files))}, ensure_ascii=False, indent=2)
    write_text(folder / RECORD, text + "\n")


def require_room(output: Path, needed: float) -> None:
    """Stops where the disk has less room than an export takes.

    Args:
        output: where it will be.
        needed: bytes of its weights.

    Raises:
        RunError: there is less.
    """
    place = output.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed + _SPARE:
        raise RunError(
            f"There is no room for the export in {output}.",
            f"it takes {_size(needed + _SPARE)}, and {_size(free)} are free",
            "Free some space, name a folder on another disk with -o, or export the adapter alone (--adapter).",
        )


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _fault(folder: Path, found: Mapping[str, Any]) -> str | None:
    files = found.get("files")
    return first_fault(folder, files) if isinstance(files, dict) and files else "no file is recorded"


def _put_in_place(work: Path, target: Path) -> None:
    """Renames the finished folder; what stands in its place is renamed first, so that neither is ever half there."""
    before: Path | None = None
    own = False
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        found = recorded(target)
        names = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
        own = found is not None and names == {*found.get("files", {}), RECORD} and _fault(target, found) is None
        before = _free_name(target)
        target.rename(before)
    try:
        work.rename(target)
    except OSError:
        if before is not None:
            before.rename(target)
        raise
    if before is not None and own:
        shutil.rmtree(before, ignore_errors=True)


def _free_name(target: Path) -> Path:
    number = 1
    while os.path.lexists(name := target.with_name(f"{target.name}.before-{number}")):
        number += 1
    return name


def _stem(target: Path) -> str:
    """Returns how the temporary names for a folder begin: no other folder's do, also where names are shortened."""
    name = target.name
    return (
        f".{name}." if len(name) <= _LONGEST else f".{name[:_LONGEST]}-{xxhash.xxh3_64_hexdigest(os.fsencode(name))}."
    )


def _remove_unfinished(target: Path, doing: str) -> None:
    """Removes what killed processes have left of this export; folders in use are locked, and stay."""
    own = re.compile(re.escape(_stem(target)) + r"[0-9a-f]{16}\.export")
    for path in target.parent.iterdir():
        if not own.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                if lock(handle):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    problem = f"The folder {target} is in use."
                    raise UserError(problem, f"Another process is {doing}.", "Wait for it to end, or choose -o.")
            finally:
                os.close(handle)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    sync_folder(folder)
