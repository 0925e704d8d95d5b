"""What a model says in a turn in which it may call tools: text and calls."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_WORDS = {"true": True, "false": False, "null": None}
_DECODER = json.JSONDecoder(strict=False)  # a line break within a string is a frequent slip
_BITS = 1_000  # of the largest whole number that is kept as one: about 300 digits, which every float can hold
_DEEPEST = 100  # lists and objects within each other


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        name: the tool; empty where not even that can be read.
        arguments: by name, as plain JSON values.
        fault: why the call cannot be read; it then has no arguments. Empty otherwise.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A turn: what is said beside the calls, and the calls in their order."""

    text: str
    calls: tuple[ToolCall, ...] = ()


def json_at(text: str, place: int) -> tuple[Any, int]:
    """Returns the JSON value that begins here, after white space, and where it ends.

    Raises:
        ValueError: there is none.
    """
    begin = place + len(text[place:]) - len(text[place:].lstrip())
    try:
        return _DECODER.raw_decode(text, begin)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def call_of(name: Any, arguments: Any) -> ToolCall:
    """Returns a call of what a model has written: arguments may be an object, or an object within a string."""
    if not isinstance(name, str) or not name:
        return ToolCall("", fault="it names no function")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, strict=False) if arguments.strip() else {}
        except (ValueError, RecursionError):
            return ToolCall(name, fault="its arguments are no JSON")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return ToolCall(name, fault="its arguments are no object")
    return call_with(name, arguments)


def call_with(name: str, arguments: Mapping[str, Any]) -> ToolCall:
    """Returns a call whose arguments whoever gets it can compare, print and write.

    A whole number of more than about 300 digits becomes a text: none of that length is a float, and Python writes none
    of some thousand digits. Values that are nested too deeply are a fault.
    """
    try:
        return ToolCall(name, {key: _kept(value) for key, value in arguments.items()})
    except RecursionError:
        return ToolCall(name, fault="its arguments are nested too deeply")


def _kept(value: Any, level: int = 0) -> Any:
    if level > _DEEPEST:
        raise RecursionError
    if isinstance(value, int) and value.bit_length() > _BITS:
        return f"{value:#x}"
    if isinstance(value, dict):
        return {key: _kept(inner, level + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = [_kept(one, level + 1) for one in value]
        return inner if isinstance(value, list) else tuple(inner)
    return value


def python_calls(text: str) -> list[ToolCall]:
    """Returns the calls of a list such as ``[f(a=1), g.h(b="x")]``, or of one call; nothing is ever evaluated.

    Raises:
        ValueError: it is something else.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        return [_python_call(node) for node in nodes]
    except (SyntaxError, MemoryError, RecursionError, ValueError) as error:
        raise ValueError("it is no list of calls") from error


def _python_call(node: ast.expr) -> ToolCall:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        raise ValueError("it is no list of calls")
    name = ast.unparse(node.func)
    if node.args or any(one.arg is None for one in node.keywords):
        return ToolCall(name, fault="an argument has no name")
    return call_with(name, {str(one.arg): _value(one.value) for one in node.keywords})


def _value(node: ast.expr) -> Any:
    """Returns a literal's value, and of anything else its text; JSON's words for Python's are taken as well."""
    if isinstance(node, ast.Name) and node.id in _WORDS:
        return _WORDS[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(one) for one in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {str(_value(key)) if key else "**": _value(value) for key, value in pairs}
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, OverflowError):  # no literal; a list in a set; an integer plus a complex number
        return ast.unparse(node)
    return value if isinstance(value, str | int | float) or value is None else ast.unparse(node)


def loose(text: str) -> str:
    """Returns a pattern for a text in which white space may be more, less or absent."""
    return r"\s*".join(map(re.escape, text.split()))
