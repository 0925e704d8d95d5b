"""The forms in which templates show calls, each as what reads them from a model's text.

Marks are the template's own; white space around them does not matter, and neither does a closing mark that is missing,
since it may be the token that ended the turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from synthetic_instruction_tuner.chat.tools.calls import (
    Said,
    ToolCall,
    call_of,
    call_with,
    json_at,
    loose,
    python_calls,
)

_NAME = r"([\w.\-/]+)"
_FIRST_MARK = re.compile(r"\s*<\|[^|>\s]*\|>")  # such as <|python_tag|>
_ARGUMENTS = ("arguments", "parameters")
Types = Mapping[str, Mapping[str, str]]
"""By tool and parameter, the parameter's JSON type."""


class CallForm(Protocol):
    """Reads calls."""

    def read(self, text: str, types: Types) -> Said:
        """Returns what is said and called; what looks like a call and is none becomes a call with a fault."""
        ...


@dataclass(frozen=True, slots=True)
class JsonForm:
    """Objects that hold name and arguments, or lists of them, each after an opening mark.

    Attributes:
        opening: the mark; where it is empty, the whole turn is such an object.
        name_path, arguments_path: the keys that lead to the two.
    """

    opening: str
    name_path: tuple[str, ...]
    arguments_path: tuple[str, ...]

    def read(self, text: str, types: Types) -> Said:
        """Returns what is said and called."""
        if not self.opening:
            return self._whole(text)
        pieces = re.split(loose(self.opening), text)
        calls: list[ToolCall] = []
        for piece in pieces[1:]:
            calls += self._objects(piece) or [ToolCall("", fault="it is no JSON object")]
        return Said(pieces[0].strip(), tuple(calls))

    def _whole(self, text: str) -> Said:
        bare = _FIRST_MARK.sub("", text, count=1)
        marked = bare != text
        calls = self._objects(bare) if bare.lstrip()[:1] in ("{", "[") else []
        if calls and (marked or any(call.name for call in calls)):
            return Said("", tuple(calls))
        broken = bare.lstrip().startswith("{") and f'"{self.name_path[-1]}"' in bare
        return Said("", (ToolCall("", fault="it is no JSON object"),)) if broken else Said(text.strip())

    def _objects(self, text: str) -> list[ToolCall]:
        """Returns the calls of the objects at the text's beginning, however they are separated."""
        found: list[ToolCall] = []
        place = 0
        while True:
            try:
                value, place = json_at(text, place)
            except ValueError:
                return found
            found += [self._call(one) for one in (value if isinstance(value, list) else [value])]
            place += len(text[place:]) - len(text[place:].lstrip(" \n\t;,"))

    def _call(self, value: Any) -> ToolCall:
        if not isinstance(value, dict):
            return ToolCall("", fault="it is no JSON object")
        inner = value.get("function")
        near = inner if isinstance(inner, dict) else value
        name, arguments = _at(value, self.name_path), _at(value, self.arguments_path)
        if arguments is None:
            arguments = next((near[key] for key in _ARGUMENTS if key in near), None)
        return call_of(near.get("name") if name is None else name, arguments)


@dataclass(frozen=True, slots=True)
class NamedForm:
    """A name between marks, and then its arguments as a JSON object.

    Attributes:
        before: the mark before the name.
        between: the mark between the name and the arguments.
        quote: what stands around strings where the object is none of JSON; empty where it is.
    """

    before: str
    between: str
    quote: str = ""

    def read(self, text: str, types: Types) -> Said:
        """Returns what is said and called."""
        head = re.compile(loose(self.before) + r"\s*" + _NAME + r"\s*" + loose(self.between) + r"\s*(?=\{|$)")
        found = list(head.finditer(text))
        if not found:
            return _without_calls(text, self.before)
        ends = [one.start() for one in found[1:]] + [len(text)]
        calls = [self._call(one[1], text[one.end() : end]) for one, end in zip(found, ends, strict=True)]
        return Said(text[: found[0].start()].strip(), tuple(calls))

    def _call(self, name: str, text: str) -> ToolCall:
        if self.quote:
            parts = text.split(self.quote)
            text = "".join(json.dumps(part) if k % 2 else _keys_quoted(part) for k, part in enumerate(parts))
        try:
            return call_of(name, json_at(text, 0)[0])
        except ValueError:
            return ToolCall(name, fault="its arguments are no JSON")


@dataclass(frozen=True, slots=True)
class MarkedForm:
    """A name between marks, and then each argument's name and value between marks.

    Attributes:
        before: the mark before the name.
        head: the mark after the name.
        opening, middle, closing: the marks before an argument's name, after it, and after its value.
    """

    before: str
    head: str
    opening: str
    middle: str
    closing: str

    def read(self, text: str, types: Types) -> Said:
        """Returns what is said and called."""
        found = list(re.finditer(loose(self.before) + r"\s*" + _NAME + r"\s*" + loose(self.head), text))
        if not found:
            return _without_calls(text, self.before)
        ends = [one.start() for one in found[1:]] + [len(text)]
        calls = [self._call(one[1], text[one.end() : end], types) for one, end in zip(found, ends, strict=True)]
        return Said(text[: found[0].start()].strip(), tuple(calls))

    def _call(self, name: str, text: str, types: Types) -> ToolCall:
        known, arguments = types.get(name, {}), {}
        opening, middle, closing = loose(self.opening), loose(self.middle), self.closing.strip()
        pattern = rf"{opening}\s*(.+?)\s*{middle}(.*?){re.escape(closing)}"
        for key, value in re.findall(pattern, text, re.DOTALL):
            lead = "\n" if self.middle.endswith("\n") else ""
            plain = value.removeprefix(lead).removesuffix("\n" if self.closing.startswith("\n") else "")
            arguments[key] = plain if known.get(key, "string") == "string" else _literal(plain)
        if len(re.findall(opening, text)) > len(re.findall(pattern, text, re.DOTALL)):
            return ToolCall(name, fault="an argument has no end")
        return call_with(name, arguments)


@dataclass(frozen=True, slots=True)
class PythonForm:
    """A list of calls as Python writes them, between marks.

    Attributes:
        opening, closing: the marks.
    """

    opening: str
    closing: str

    def read(self, text: str, types: Types) -> Said:
        """Returns what is said and called."""
        before, found, rest = text.partition(self.opening) if self.opening else ("", "[", text)
        if not found or (not self.opening and not rest.lstrip().startswith("[")):
            return Said(text.strip())
        inner = rest.partition(self.closing)[0] if self.closing else rest
        try:
            return Said(before.strip(), tuple(_listed(call) for call in python_calls(inner)))
        except ValueError as error:
            return Said(before.strip(), (ToolCall("", fault=str(error)),) if self.opening else ())


def _listed(call: ToolCall) -> ToolCall:
    return ToolCall(call.name, {key: list(v) if isinstance(v, tuple) else v for key, v in call.arguments.items()})


def _without_calls(text: str, mark: str) -> Said:
    """Returns a turn without a call that can be read: with a fault where the mark of one is there."""
    before, found, _ = text.partition(mark.strip())
    if found and mark.strip():
        return Said(before.strip(), (ToolCall("", fault="it names no function"),))
    return Said(text.strip())


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _literal(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {"True": True, "False": False, "None": None}.get(text.strip(), text)


def _keys_quoted(text: str) -> str:
    return re.sub(r"([{,]\s*)([^\s\"{}\[\],:]+)\s*:", lambda m: f"{m[1]}{json.dumps(m[2])}:", text)
