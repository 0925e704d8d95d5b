"""Whether calls are the right ones, by BFCL's rules for Python.

A right answer lists for each parameter the values that are allowed, and ``""`` among them where it may be left out. A
value must have the parameter's type, or the type of the allowed values, which may be the name of a variable. Texts are
compared without case, spaces and some punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from synthetic_instruction_tuner.chat.tools.calls import ToolCall
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import Allowed, BfclTask

_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "number": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "object": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")


def fault_of(task: BfclTask, calls: Sequence[ToolCall]) -> str:
    """Returns why calls do not solve a task, in one line; empty where they do."""
    made = [call for call in calls if call.name]
    if task.wants_no_call:
        return f"{made[0].name} was called, and no function helps" if made else ""
    if task.wants_any_call:
        return "" if made else "no function was called"
    if broken := next((call for call in calls if call.fault), None):
        return f"a call cannot be read: {broken.fault}"
    if len(calls) != len(task.answers):
        return f"{len(calls)} calls instead of {len(task.answers)}"
    faults = [[_call_fault(task, call, answer) for call in calls] for answer in task.answers]
    if _paired([[not fault for fault in row] for row in faults]):
        return ""
    for row, answer in zip(faults, task.answers, strict=True):
        if all(row):
            return row[0] if len(row) == 1 else f"no call is {next(iter(answer))} as it should be"
    return "two answers are met by one call alone"


def normalized(text: str) -> str:
    """Returns what texts are compared by."""
    return _IGNORED.sub("", text).lower().replace("'", '"')


def _paired(fits: Sequence[Sequence[bool]]) -> bool:
    """Whether each answer can have a call of its own, in any order."""
    taken: dict[int, int] = {}

    def place(answer: int, tried: set[int]) -> bool:
        for call, fit in enumerate(fits[answer]):
            if fit and call not in tried:
                tried.add(call)
                if call not in taken or place(taken[call], tried):
                    taken[call] = answer
                    return True
        return False

    return all(place(answer, set()) for answer in range(len(fits)))


def _call_fault(task: BfclTask, call: ToolCall, answer: Allowed) -> str:
    """Returns why a call is not the right one."""
    (name, allowed), *_ = answer.items()
    if call.name != name and call.name != name.replace(".", "_"):
        return f"{call.name} instead of {name}"
    function = next(one for one in task.functions if one["name"] == name)
    properties = function["parameters"].get("properties", {})
    required = function["parameters"].get("required", [])
    if missing := next((key for key in required if key not in call.arguments), None):
        return f"parameter {missing} is missing"
    for key, value in call.arguments.items():
        if key not in properties or key not in allowed:
            return f"parameter {key} is not expected"
        if not _is_allowed(value, properties[key], allowed[key]):
            return f"parameter {key} is {value!r:.80}"
    missing = next((key for key, values in allowed.items() if key not in call.arguments and "" not in values), None)
    return f"parameter {missing} is missing" if missing else ""


def _is_allowed(value: Any, schema: Mapping[str, Any], allowed: Sequence[Any]) -> bool:
    kind = str(schema.get("type", "string"))
    wanted: type = _TYPES.get(kind, str)
    if kind == "tuple" and isinstance(value, tuple):
        value = list(value)
    if wanted is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return False
    given = next((type(one) for one in allowed if one != ""), None)
    kind_of: Any = type(value)
    if kind_of is not wanted:
        return kind_of is given and value in allowed
    items = schema.get("items", {})
    inner = _TYPES.get(str(items.get("type", "string")), str) if wanted is list and isinstance(items, Mapping) else None
    if inner is not None and not _has_items(value, inner, allowed):
        return False
    if given is not None and given is not wanted:  # a variable's name
        return value in allowed
    if wanted is dict:
        return any(_same_dict(value, one) for one in allowed if one != "")
    if wanted is list and inner is dict:
        return any(
            len(value) == len(one) and all(map(_same_dict, value, one))
            for one in allowed
            if isinstance(one, list | str)
        )
    if wanted is str:
        return normalized(value) in [normalized(one) for one in allowed if isinstance(one, str)]
    if wanted is list:
        return _plain(value) in [_plain(list(one)) for one in allowed if isinstance(one, list | str)]
    return value in allowed


def _has_items(value: Sequence[Any], inner: type, allowed: Sequence[Any]) -> bool:
    """Whether a list's items have the type that they should, or that of the items of an allowed list."""
    for one in allowed:
        given = next((type(item) for item in one if item != ""), None) if isinstance(one, list) else None
        if not isinstance(one, list) or all(type(item) in (inner, given) for item in value):
            return True
    return False


def _same_dict(value: Any, allowed: Any) -> bool:
    """Whether an object has the allowed values, and all that may not be left out."""
    if not isinstance(value, Mapping) or not isinstance(allowed, Mapping):
        return False
    for key, inner in value.items():
        if key not in allowed or _plain_one(inner) not in _plain(_listed(allowed[key])):
            return False
    return all(key in value or "" in _listed(values) for key, values in allowed.items())


def _listed(allowed: Any) -> Sequence[Any]:
    """Returns the allowed values; one alone is one of them."""
    return allowed if isinstance(allowed, list) else [allowed]


def _plain(values: Sequence[Any]) -> list[Any]:
    return [_plain_one(one) for one in values]


def _plain_one(value: Any) -> Any:
    return normalized(value) if isinstance(value, str) else value
