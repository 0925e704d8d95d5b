"""The settings of a run: the store keeps them, and ``config.json`` shows them.

A file that was changed, damaged or deleted changes nothing in the run: options do that, and say what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.data_files.file_hashes import put_aside
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.run.store import Store

SETTINGS = "settings"  # the fact


def kept_settings(path: Path) -> str | None:
    """Returns the settings that a store keeps, as JSON; None where there are none, or they cannot be read."""
    if not path.is_file():
        return None
    try:
        store = Store.open(path, readonly=True)
    except SitError:
        return None
    try:
        return str(kept["now"]) if (kept := store.fact(SETTINGS)) else None
    except SitError:
        return None
    finally:
        store.close()


def keep_settings(store: Store, file: Path, text: str, say: Callable[[str], None]) -> None:
    """Keeps a run's settings, and writes them to a file; one that this run has not written is put aside.

    Args:
        store: the run's store.
        file: its ``config.json``.
        text: the settings, as JSON.
        say: shows a line to the user.
    """
    try:
        kept = store.fact(SETTINGS) or {"now": None, "before": None}
    except SitError:
        kept = {"now": None, "before": None}
    found = file.read_bytes().decode("utf-8", "replace") if file.is_file() else None
    if file.exists() and (found is None or found not in (kept["now"], kept["before"], text)):
        what = "is not of this run" if kept["now"] is None or found is None else "was changed"
        say(f"  {file.name} {what}; what it was is kept as {put_aside(file).name}")
    if kept["now"] != text:  # a run that is killed before it has written the file finds the settings before in it
        store.set_fact(SETTINGS, {"now": text, "before": kept["now"]})
    if found != text:
        write_text(file, text)
