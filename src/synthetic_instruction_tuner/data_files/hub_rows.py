"""Rows of a data set of the Hugging Face Hub, named as ``hf:NAME``, ``hf:NAME:SPLIT`` or ``hf:NAME:CONFIG:SPLIT``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.web_addresses import without_secrets

PREFIX = "hf:"
FORM = "Write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT."
BATCH = 1024
ADDRESS = re.compile(r"(?:\A|.*/)((?:https?|s3|gs|ftp|hdfs|az)):/+(.*)", re.IGNORECASE | re.DOTALL)
PAGE = re.compile(r"(?:www\.)?huggingface\.co/datasets/([^/]+/[^/?#]+)|hf\.co/datasets/([^/]+/[^/?#]+)")


def is_hub_name(file: Path) -> bool:
    """Returns whether an input names a data set of the Hub instead of a file."""
    return str(file).startswith(PREFIX)


def address_fault(file: Path) -> UserError | None:
    """Returns why a web address cannot be read as a file, or None of anything else; its path may be made absolute."""
    found = ADDRESS.fullmatch(str(file))
    if found is None or file.exists():
        return None
    page = PAGE.match(found[2])
    fix = (
        f"Write {PREFIX}{page[1] or page[2]}." if page else f"Download it first and name the file, or write {FORM[6:]}"
    )
    address = without_secrets(f"{found[1]}://{found[2]}")
    return UserError(f"{address} is a web address, not a file.", "Only files and data sets of the Hub are read.", fix)


def hub_stem(name: str) -> str:
    """Returns what the ids of a data set's records begin with: its name without owner, and its split."""
    return re.sub(r"[^\w.]+", "-", name.removeprefix(PREFIX).rpartition("/")[2])


def hub_rows(name: str) -> Iterator[tuple[int, Any, str]]:
    """Yields number, row and the row's text.

    Without a split it is ``train``, or the only split. Texts are read as they are stored; images and sounds are not
    decoded.

    Raises:
        UserError: there is no such data set or split, or it can be neither reached nor found in the cache.
    """
    number = 0
    for table in _loaded(name).with_format("arrow").iter(batch_size=BATCH):
        for row in table.to_pylist():
            number += 1
            yield number, row, str(row)[:200]


def _loaded(name: str) -> Any:
    path, config, split = _parts(name)
    try:
        import datasets
    except ImportError:
        raise UserError(f"{name} cannot be read.", "The package datasets is missing.", "pip install datasets") from None
    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(path, config)
    except (Exception, SystemExit) as error:  # the libraries below raise errors of many kinds
        raise UserError(f"The data set {name} cannot be read.", _cause(error), _fix(error)) from None
    chosen = split or ("train" if "train" in found or len(found) > 1 else next(iter(found)))
    if chosen not in found:
        cause = f"It has no split '{chosen}'; it has {', '.join(map(str, found))}."
        raise UserError(f"The data set {name} cannot be read.", cause, FORM)
    return found[chosen]


def _parts(name: str) -> tuple[str, str | None, str | None]:
    """The data set, its configuration and its split."""
    path, *more = name.removeprefix(PREFIX).split(":")
    if not path or len(more) > 2 or not all(more):
        raise UserError(f"'{name}' does not name a data set.", "", FORM)
    return path, more[0] if len(more) == 2 else None, more[-1] if more else None


def _cause(error: BaseException) -> str:
    """The first sentence of what the library says."""
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:300]


def _fix(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, ConnectionError | OSError) and kind != "DatasetNotFoundError":
        return "Check the connection; or download the data set first, and name its files."
    if "Config name is missing" in str(error):
        return "Name one of them: hf:NAME:CONFIG:SPLIT."
    return "Check its name; a private or gated data set needs 'hf auth login' first."
