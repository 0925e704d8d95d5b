"""Folders of a training that are complete and unchanged, or not used: checkpoints, and the reference of DPO.

A folder is sealed by a file that is written last. It holds the hashes of the folder's other files, the fingerprint of
the training, and a digest of itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import apply_umask, write_text
from synthetic_instruction_tuner.data_files.file_hashes import first_fault, hashes

SEAL = "complete.json"


def seal(folder: Path, owner: str, facts: dict[str, Any] | None = None) -> None:
    """Marks a folder as complete, once all its files are on disk.

    Args:
        folder: the folder.
        owner: the fingerprint of the training that it belongs to.
        facts: plain JSON values to keep with it.
    """
    apply_umask(folder)
    sync_files(folder)
    (folder / SEAL).unlink(missing_ok=True)
    write_signed(folder / SEAL, {"owner": owner, "facts": facts or {}, "files": hashes(folder)})


def seal_again(folder: Path, facts: dict[str, Any]) -> None:
    """Replaces what a whole folder was sealed with; at any instant it is sealed."""
    write_signed(folder / SEAL, read_signed(folder / SEAL) | {"facts": facts})


def facts(folder: Path) -> dict[str, Any]:
    """Returns what a whole folder was sealed with."""
    kept: dict[str, Any] = read_signed(folder / SEAL)["facts"]
    return kept


def owner(folder: Path) -> str | None:
    """Returns the fingerprint of the training that a folder belongs to; None if it cannot be known."""
    try:
        return str(read_signed(folder / SEAL)["owner"])
    except (OSError, ValueError):
        return None


def fault_of(folder: Path) -> str | None:
    """Returns what is wrong with a folder; None if it is as it was sealed."""
    try:
        content = read_signed(folder / SEAL)
    except FileNotFoundError:
        return f"{SEAL} is missing"
    except OSError as error:
        return f"{SEAL} cannot be read ({error.strerror or error})"
    except ValueError:
        return f"{SEAL} was changed"
    return first_fault(folder, content["files"])


def write_signed(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON object with a digest of itself."""
    text = json.dumps(content | {"digest": fingerprint(content)}, ensure_ascii=False, indent=2)
    write_text(path, text + "\n")


def read_signed(path: Path) -> dict[str, Any]:
    """Returns the object that `write_signed` was given.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what was written.
    """
    try:
        content = json.loads(path.read_bytes())
    except RecursionError:  # nested too deeply
        raise ValueError(f"{path} was changed") from None
    if not isinstance(content, dict) or content.pop("digest", None) != fingerprint(content):
        raise ValueError(f"{path} was changed")
    return content


def sync_files(folder: Path) -> None:
    """Waits until all files of the folder are on disk."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
