"""Which form a template gives to calls: known calls are rendered, and what stands around their parts is its marks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.chat.tools.calls import json_at
from synthetic_instruction_tuner.chat.tools.forms import CallForm, JsonForm, MarkedForm, NamedForm, PythonForm

NAME, OTHER = "zqToolqz", "zqOtherqz"
ARGUMENTS: Mapping[str, Any] = {"zqFirstqz": "zqOneqz", "zqSecondqz": "zqTwoqz"}
_KEYS, _VALUES = list(ARGUMENTS), list(ARGUMENTS.values())


def form_of(body: str, two: str = "") -> CallForm | None:
    """Returns how calls are read, or None where the template's form is none that is known.

    Args:
        body: the turn in which the assistant calls `NAME` with `ARGUMENTS`, without what is before the turn.
        two: the same turn with a second call, of `OTHER`; empty where the template takes one call alone.
    """
    if NAME not in body:
        return None
    form = _json_form(body, two)
    if form is not None:
        return form
    begin = body.rfind(NAME, 0, body.find(_KEYS[0])) if _KEYS[0] in body else -1
    if begin < 0:
        return None
    before, rest = body[:begin], body[begin + len(NAME) :]
    if f"({_KEYS[0]}=" in rest:
        return _python_form(before, rest)
    before = _repeated(before, two) if two else before
    before = before.rpartition(NAME)[2]  # some write the name before the call as well
    return _named_form(before, rest) or _marked_form(before, rest)


def _json_form(body: str, two: str) -> JsonForm | None:
    for found in re.finditer(r"[\[{]", body):
        if found.start() > body.find(NAME):
            return None
        try:
            value = json_at(body, found.start())[0]
        except ValueError:
            continue
        one = value[0] if isinstance(value, list) and value else value
        name, arguments = _path(one, NAME), _path(one, dict(ARGUMENTS))
        if arguments is None:
            arguments = _path(one, json.dumps(dict(ARGUMENTS))) or _encoded_path(one)
        if name and arguments:
            opening = body[: found.start()]
            if two and not isinstance(value, list):
                opening = _common_end(opening, _gap(two, found.start()))
            return JsonForm(opening.strip(), name, arguments)
    return None


def _named_form(before: str, rest: str) -> NamedForm | None:
    for found in re.finditer(r"\{", rest):
        try:
            value = json_at(rest, found.start())[0]
        except ValueError:
            continue
        if value == ARGUMENTS:
            return NamedForm(before.strip(), rest[: found.start()].strip())
        return None
    between = rest[: rest.find(_KEYS[0])]
    quote = rest[rest.find(_KEYS[0]) + len(_KEYS[0]) : rest.find(_VALUES[0])].removeprefix(":")
    after = rest[rest.find(_VALUES[0]) + len(_VALUES[0]) :]
    if between.endswith("{") and quote and after.startswith(f"{quote},"):
        return NamedForm(before.strip(), between[:-1].strip(), quote)
    return None


def _marked_form(before: str, rest: str) -> MarkedForm | None:
    places = [rest.find(word) for word in (_KEYS[0], _VALUES[0], _KEYS[1], _VALUES[1])]
    if places != sorted(places) or min(places) < 0:
        return None
    first = rest[: places[0]]
    middle = rest[places[0] + len(_KEYS[0]) : places[1]]
    between = rest[places[1] + len(_VALUES[0]) : places[2]]
    opening = _common_end(first, between)
    opening = opening[found.start() :] if (found := re.search(r"\s*[<\[]", opening)) else opening
    closing = between.removesuffix(opening)
    if not (opening.strip() and middle.strip() and closing.strip() and before.strip()):
        return None
    return MarkedForm(before.strip(), first.removesuffix(opening).strip(), opening, middle, closing)


def _python_form(before: str, rest: str) -> PythonForm | None:
    if not before.rstrip().endswith("["):
        return None
    end = rest.find("]", rest.find(_VALUES[1]))
    closing = re.match(r"\s*(<[^<>]*>|\[[^\[\]]*\])?", rest[end + 1 :])
    return PythonForm(before.rstrip()[:-1].strip(), (closing[1] or "") if closing else "")


def _path(value: Any, wanted: Any) -> tuple[str, ...] | None:
    """Returns the keys that lead to a value within objects."""
    if not isinstance(value, dict):
        return None
    for key, inner in value.items():
        if inner == wanted:
            return (key,)
        deeper = _path(inner, wanted)
        if deeper:
            return (key, *deeper)
    return None


def _encoded_path(value: Any) -> tuple[str, ...] | None:
    """Returns the keys that lead to the arguments where these are an object within a string."""
    if not isinstance(value, dict):
        return None
    for key, inner in value.items():
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                if json.loads(inner) == ARGUMENTS:
                    return (key,)
            except ValueError:
                continue
        if deeper := _encoded_path(inner):
            return (key, *deeper)
    return None


def _gap(two: str, begin: int) -> str:
    """Returns what stands between the first call's object and the second's."""
    end = json_at(two, begin)[1]
    place = two.find("{", end)
    return two[end:place] if place >= 0 else ""


def _repeated(before: str, two: str) -> str:
    """Returns the part of a mark that stands before each call and not only before the first."""
    place = two.find(OTHER)
    same = _common_end(before, two[:place]) if place >= 0 else ""
    return same if same.strip() else before


def _common_end(first: str, second: str) -> str:
    same = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        same += 1
    return first[len(first) - same :]
