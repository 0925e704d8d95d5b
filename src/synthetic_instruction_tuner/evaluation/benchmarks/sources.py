"""What the filter's settings name of benchmarks: `published` finds those, others are the user's own files.

Missing items are always reported. `load_benchmarks` uses no network; `fetch` downloads what the Hub has, once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from synthetic_instruction_tuner.config import ContaminationConfig
from synthetic_instruction_tuner.errors import UserError, together
from synthetic_instruction_tuner.evaluation.benchmarks.items import (
    PLAIN_TEXTS,
    BenchmarkSet,
    benchmark_files,
    distinct,
    items_of_file,
    items_of_folder,
)
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED, download_items, place_of, to_fetch

NANO = "nano"
ENOUGH = 0.97  # of the published items; copies differ by a few


def load_benchmarks(config: ContaminationConfig) -> list[BenchmarkSet]:
    """Returns the benchmarks and files of the settings, in order; those with missing items have a `problem`.

    The embedded models' own benchmarks (``nano``) are not loaded here: they are generated, not read.

    Raises:
        UserError: a file or the folder that the user named cannot be read.
    """
    check_sources(config)
    sets = [_benchmark(name, config) for name in config.benchmarks if name != NANO]
    files = [Path(file).expanduser() for file in config.files]
    return sets + [_user_file(name, file) for name, file in zip(file_names(files), files, strict=True)]


def file_names(files: Sequence[Path]) -> list[str]:
    """Returns for each file the shortest end of its path, at least its name, that no other file shares."""
    parts = [file.absolute().parts for file in files]

    def own(mine: tuple[str, ...]) -> str:
        sizes = range(1, len(mine) + 1)
        size = next((n for n in sizes if all(p[-n:] != mine[-n:] for p in parts if p != mine)), len(mine))
        return Path(*mine[-size:]).as_posix()

    return [own(mine) for mine in parts]


def check_sources(config: ContaminationConfig) -> None:
    """Raises UserError for a folder or files of the settings that are not there, or that hold no item."""
    if faults := source_faults(config):
        raise together(faults)


def source_faults(config: ContaminationConfig) -> list[UserError]:
    """Returns a mistake for the settings' folder and each of their files that is not there or holds no item."""
    faults = []
    if config.folder is not None and not os.path.isdir(Path(config.folder).expanduser()):
        faults.append(_not_there(f"The folder {config.folder}", "folder"))
    for file in config.files:
        path = Path(file).expanduser()
        if not os.path.isfile(path):
            odd = f"{path} is not a file." if os.path.exists(path) else ""
            faults.append(_not_there(f"The file {file}", "files", odd))
        elif fault := _no_item(path):
            faults.append(fault)
    return faults


def _no_item(file: Path) -> UserError | None:
    """Returns why a file of the user's is no exam, or None; reads it as far as its first item."""
    try:
        if next(items_of_file("", file), None):
            return None
    except UserError as error:
        return error
    return UserError(
        f"The file {file} holds no item of a benchmark.",
        "filter.contamination.files names it, and no row contains the text of an item.",
        f"Rows need one of the fields {', '.join(PLAIN_TEXTS)} and turns.",
    )


def _not_there(what: str, key: str, odd: str = "") -> UserError:
    cause = f"filter.contamination.{key} names it. {odd}".strip()
    fix = "Check the path; in a YAML file it is relative to that file, with --set to the working directory."
    return UserError(f"{what} does not exist." if not odd else f"{what} cannot be read.", cause, fix)


def content_key(config: ContaminationConfig) -> dict[str, str | None]:
    """Returns a hash of each benchmark's files and of each user's file, None where there are none; reads no items."""
    found: dict[str, str | None] = {}
    for name in config.benchmarks:
        if name != NANO:
            place = place_of(name, config.folder)
            found[name] = _hash(benchmark_files(place.folder)) if place else None
    files = [Path(file).expanduser() for file in config.files]
    for called, file in zip(file_names(files), files, strict=True):
        found[f"file {called}"] = _hash([file]) if file.is_file() else None
    return found


def fetch(config: ContaminationConfig, say: Callable[[str], None]) -> None:
    """Downloads the benchmarks that the settings name and this machine lacks; reports those it cannot get, and why.

    Raises:
        UserError: a folder or a file of the settings does not exist.
    """
    check_sources(config)
    for name in config.benchmarks:
        if name == NANO or place_of(name, config.folder):
            continue
        if not to_fetch(name, config.folder):
            say(f"Contamination with {name} will not be checked: {_missing(name)}.")
            continue
        problem = download_items(name)
        say(
            f"Contamination with {name} will not be checked: {_missing(name)}, and {problem}."
            if problem
            else f"Downloaded {name}."
        )


def _benchmark(name: str, config: ContaminationConfig) -> BenchmarkSet:
    published = PUBLISHED[name].items
    place = place_of(name, config.folder)
    if place is None:
        return BenchmarkSet(name, published=published, problem=_missing(name))
    items = distinct(items_of_folder(name, place.folder))
    problem = ""
    if not items:
        problem = f"its {place.origin} contains no file with items"
    elif published and len(items) < ENOUGH * published:
        problem = f"only {len(items):,} of about {published:,} items are available"
    return BenchmarkSet(name, items, place.origin, published, problem)


def _user_file(name: str, file: Path) -> BenchmarkSet:
    without: list[int] = []
    items = distinct(items_of_file(name, file, without))
    problem = "" if items else "no row contains the text of an item"
    if items and without:
        problem = f"{len(without):,} of its rows do not contain the text of an item (the first is row {without[0]})"
    return BenchmarkSet(f"file {name}", items, "file", None, problem)


def _missing(name: str) -> str:
    published = PUBLISHED[name]
    where = f"filter.contamination.folder has no subfolder {name}"
    if published.repository is None:
        return f"{where}, and it is not on the Hub; {published.elsewhere}"
    return f"{where}, and {published.repository} is not in the Hugging Face cache"


def _hash(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + b"\0")
        try:
            with file.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError:
            whole.update(b"unreadable")
    return whole.hexdigest()[:16]
