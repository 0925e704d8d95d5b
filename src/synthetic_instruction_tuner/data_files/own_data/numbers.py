"""Numbers as people write them into score columns, and which fields of a row or an object hold scores."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError

SCORES = (  # the first of them that is there for at least two answers counts
    "overall_score",
    "fine-grained_score",
    "fine_grained_score",
    "score",
    "mean_score",
    "average_score",
    "avg_score",
    "reward",
    "rating",
    "reward_score",
    "instruct_reward",
    "overall",
    "rank",
)
LOWER_IS_BETTER = ("rank",)
WHOLE = ("overall", "overall_score", "score", "total", "final", "mean", "average", "avg", "reward", "rating")
ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")  # HelpSteer: the first says how good
_FIELD = re.compile(r"(\w+[_-])?(score|reward|rating|rank)s?([_-]\w+)?")
_NO_SCORE = re.compile(r".*(ratio|std|stdev|count|num|margin|diff|model|type|id|name|max|min|scale)s?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_FRACTION = re.compile(r"(.+)/\s*(\d+(?:\.\d+)?)")


def is_score(name: str) -> bool:
    """Returns whether a field's name says that it holds scores: ``score``, ``rewards_armorm``, ``pm_score``."""
    return bool(_FIELD.fullmatch(name)) and not _NO_SCORE.fullmatch(name.rpartition("_")[2])


def number_of(value: object) -> float | None:
    """Returns a finite number, also one that is written as text; None for everything else."""
    if isinstance(value, str):
        text = value.strip()
        if _COMMA.fullmatch(text) and not _THOUSANDS.fullmatch(text):
            text = text.replace(",", ".")  # a decimal comma
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def score_of(value: object, name: str) -> float | None:
    """Returns a score: a number, also one out of a largest one (``8/10``), or a percentage; None for everything else.

    Raises:
        ShapeError: it can be read as two numbers.
    """
    if isinstance(value, str):
        text = value.strip()
        if _THOUSANDS.fullmatch(text):
            plain, comma = text.replace(",", ""), text.replace(",", ".", 1)
            raise ShapeError(f"'{name}' is {text!r}, which is {plain} or {comma}; write it without the comma")
        if (parts := _FRACTION.fullmatch(text)) and (number := number_of(parts[1])) is not None and float(parts[2]):
            return number / float(parts[2])
        text = text.removesuffix("%").rstrip()
        return number_of(text)
    return number_of(value)


def scores_in(value: Mapping[str, Any], wanted: str | None = None) -> dict[str, float]:
    """Returns the scores that an object with an answer, or a row, has beside it.

    Args:
        value: the object, with names in lower case.
        wanted: a field that counts as a score, whatever its name; ``scores.helpful`` for one within an object.
    """
    found: dict[str, float] = {}
    for name, part in value.items():
        if isinstance(part, Mapping):
            if is_score(name) or name in ("annotations", "annotation"):
                found |= _inner(name, part)
        elif (is_score(name) or name == wanted or name in SCORES) and (number := score_of(part, name)) is not None:
            found[_singular(name)] = number
            if name == wanted:
                found[wanted] = number
    if wanted and wanted not in found and all(name in value for name in ASPECTS) is False:
        inner = [number for name, number in found.items() if name.rpartition(".")[2] == wanted]
        found |= {wanted: inner[0]} if len(inner) == 1 else {}
    return found


def inner_scores(name: str, value: object) -> dict[str, float]:
    """Returns the scores of one answer in a list or an object of scores."""
    if isinstance(value, Mapping):
        return _inner(name, value)
    number = score_of(value, name)
    return {} if number is None else {_singular(name): number}


def numeric_fields(value: Mapping[str, Any]) -> list[str]:
    """Returns the fields that hold numbers, for a message that asks which of them is the score."""
    return [name for name, part in value.items() if not isinstance(part, bool) and number_of(part) is not None]


def _inner(name: str, value: Mapping[str, Any]) -> dict[str, float]:
    """The score in an object: the one for the whole, or the only one; of UltraFeedback's annotations the mean.

    Of several with other names, each counts under its own.
    """
    plain = {str(key).strip().lower(): part for key, part in value.items()}
    numbers = {key: number for key, part in plain.items() if (number := _rated(part, f"{name}.{key}")) is not None}
    whole = next((numbers[key] for key in WHOLE if key in numbers), None)
    if whole is None and len(numbers) == 1:
        whole = next(iter(numbers.values()))
    inner = {f"{name}.{key}": number for key, number in numbers.items()}
    if whole is None and numbers and name in ("annotations", "annotation"):
        whole = sum(numbers.values()) / len(numbers)
    return inner | ({_singular(name): whole} if whole is not None else {})


def _rated(value: object, name: str) -> float | None:
    if isinstance(value, Mapping):
        plain = {str(key).strip().lower(): part for key, part in value.items()}
        return next((n for key in WHOLE if (n := score_of(plain.get(key), name)) is not None), None)
    return score_of(value, name)


def _singular(name: str) -> str:
    return name.removesuffix("s") if name.endswith(("scores", "rewards", "ratings", "ranks")) else name
