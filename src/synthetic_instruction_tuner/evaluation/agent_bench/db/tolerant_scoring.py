"""Whether handed-in answers are right, as AgentBench's function-calling version compares them.

Quotes and spaces around values, percent signs and commas within them do not count; nothing, not-a-number and infinity
are 0; numbers may differ by a hundredth. Several answers are compared as sets; numbers, one by one in any order. An
answer that is a list in a text is read as a literal, never evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

LONGEST = 100_000  # characters of an answer that are read as a list
TOLERANCE = 0.01
_NOTHING = frozenset(("", "none", "null", "undefined", "nan", "inf", "infinity", "-inf", "-infinity"))


def is_about_right(label: Sequence[str], answers: Any) -> bool:
    """Returns whether answers equal a task's label.

    Args:
        label: the right values.
        answers: what was handed in: a list of values, a text that may hold one, or a single value.
    """
    given, wanted = _values(answers), _values(list(label))
    numbers = [_numbers(given), _numbers(wanted)]
    if all(found is not None for found in numbers):
        return _pair_up(numbers[0] or [], numbers[1] or [])
    if len(given) == len(wanted) == 1:
        return given == wanted
    return set(given) == set(wanted)


def _values(answers: Any) -> list[str]:
    if isinstance(answers, str):
        answers = _listed(answers)
    if isinstance(answers, dict):
        answers = list(answers.values())
    if not isinstance(answers, list | tuple | set):
        answers = [answers]
    return [_plain(one[0] if isinstance(one, tuple | list) and len(one) == 1 else one) for one in answers]


def _listed(text: str) -> Any:
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]") and len(bare) <= LONGEST:
        try:
            found = ast.literal_eval(bare)
            str(found)  # a number of thousands of digits is a value, and has no text
            return found
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
            return [part for part in bare[1:-1].split(",") if part]
    return text


def _plain(value: Any) -> str:
    text = str(value).strip().strip("'\"")
    if text.endswith("%"):
        return text[:-1].strip()
    text = text.replace(",", "")
    return "0" if text.lower() in _NOTHING else text


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _pair_up(given: Sequence[float], wanted: Sequence[float]) -> bool:
    """Whether each number has one of its own that is about equal: in order of size, or not at all."""
    pairs = zip(sorted(given), sorted(wanted), strict=False)
    return len(given) == len(wanted) and all(abs(a - b) <= TOLERANCE for a, b in pairs)
