"""Follows records through a run: which files of the package have a function that is handed a record.

    python tests/record_path.py OUTPUT.json ARGUMENTS OF sit run ...

What becomes of a record counts too: its answers, the preference pair, the training examples, the filter's result, the
row in the store and in the data files. Functions are watched as Python calls them, so one counts only when it ran.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import synthetic_instruction_tuner

PACKAGE = f"{Path(synthetic_instruction_tuner.__file__).parent}/"
KINDS = {"Record", "Answer", "PreferencePair", "SkippedRecord", "FilterResult", "Example", "PairExample"}
FIELDS = (("instruction", "response"), ("chosen", "rejected"), ("record_id", "text"))  # of rows, as plain values


def is_record(value: Any, depth: int = 2) -> bool:
    """Whether a value is a record or what becomes of it, or a collection that begins with one."""
    if type(value).__name__ in KINDS:
        return True
    if isinstance(value, dict):
        return any(all(isinstance(value.get(field), (str, list)) for field in fields) for fields in FIELDS)
    return bool(depth and isinstance(value, (list, tuple)) and value and is_record(value[0], depth - 1))


class Watch:
    """Notes the files whose functions are handed a record, in the order in which they are first reached."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or code.co_name == "<module>":
            return
        file = code.co_filename.removeprefix(PACKAGE)
        if file in self.files:
            return
        handed = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(is_record(frame.f_locals.get(name)) for name in handed):
            self.files[file] = code.co_name


def main(output: str, *arguments: str) -> int:
    """Runs `sit run` with the arguments, watched as far as DPO, and writes the files as JSON."""
    from synthetic_instruction_tuner.cli import app

    watch = Watch()
    sys.settrace(watch)  # of calls alone: no function is followed line by line
    try:
        code = app._exit_code(["run", *arguments, "--until", "dpo"])
    finally:
        sys.settrace(None)
    Path(output).write_text(json.dumps(watch.files, indent=1))
    return code or app._exit_code(["run", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
