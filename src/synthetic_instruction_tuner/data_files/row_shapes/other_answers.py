"""Finds the answer of a row in which no field with a usual name holds one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError

LISTS = ("completions", "responses", "answers", "outputs", "generations", "candidates", "samples", "replies")
_KINDS = "answer|response|output|completion|reply|solution|generation"
_NAMED = re.compile(
    rf"(?!.*(?:incorrect|wrong|bad|reject|worst|expected|original|orig_)).+[_-](?:{_KINDS})", re.IGNORECASE
)
_NUMBERED = re.compile(rf"(?:\w+_)?(?:{_KINDS}|human_ref|conversation)(?:_?\d+|_[a-z])", re.IGNORECASE)
COMPARED = ("conversation", "response", "answer", "human_ref", "messages")
TO_PAIRS = "'sit prefer FILE -o out' makes pairs of answers that have scores or a winner"


def only_other_answer(row: Mapping[str, Any], strict: bool) -> str | None:
    """Returns the field that holds the row's only answer, such as ``gpt4_answer``; None if there is none.

    Args:
        row: a row without an answer under a usual name.
        strict: whether several answers are an error.

    Raises:
        ShapeError: there are several, and nobody says which of them is the answer.
    """
    named = [name for name, value in row.items() if _NAMED.fullmatch(name) and _is_text(value)]
    numbered = [
        name for name, value in row.items() if _NUMBERED.fullmatch(name) and (_is_text(value) or _is_many(value))
    ]
    listed = [name for name in LISTS if _is_many(row.get(name)) or _is_by_model(row.get(name))]
    if len(named) == 1 and not numbered:
        return named[0]
    if strict and len(named) > 1:
        said = ", ".join(f"'{name}'" for name in named[:4])
        raise ShapeError(f"several fields could be its answer ({said}): name one of them 'response'")
    if strict and len(numbered) > 1:
        said = ", ".join(f"'{name}'" for name in numbered[:4])
        raise ShapeError(f"several answers ({said}); {TO_PAIRS}")
    if strict and listed:
        raise ShapeError(f"'{listed[0]}' holds several answers; {TO_PAIRS}")
    return None


def are_compared(names: Iterable[object]) -> bool:
    """Returns whether there are columns of two answers, such as ``conversation_a`` and ``conversation_b``."""
    found = {str(name).lower() for name in names}
    return any(f"{kind}_{a}" in found and f"{kind}_{b}" in found for kind in COMPARED for a, b in ("ab", "01", "12"))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_by_model(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 1 and all(isinstance(v, str | Mapping) for v in value.values())


def _is_many(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1
