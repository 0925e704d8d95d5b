"""What a run is doing now, in a file of its folder: `sit status` and other programs read it while the run works.

The file goes when the run ends. One that a killed run has left behind names a process that is no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import psutil

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.run.progress.display import Working


class ProgressFile:
    """The file that says what a run is doing.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = {"pid": os.getpid(), "began": psutil.Process().create_time(), "host": platform.node()}

    def write(self, working: Working | None) -> None:
        """Writes what is being done; removes the file when nothing is. A full disk is no reason to stop a run."""
        with contextlib.suppress(OSError, SitError):
            if working is None:
                self._path.unlink(missing_ok=True)
            else:
                write_text(self._path, json.dumps(asdict(working) | {"process": self._process}) + "\n")


def read_progress(path: Path) -> Working | None:
    """Returns what a run is doing at this moment; None where none is at work on this machine."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        process = found.pop("process")
        same = process["host"] == platform.node()
        alive = same and psutil.Process(int(process["pid"])).create_time() == process["began"]
        return Working(**found) if alive else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, psutil.Error):
        return None
