"""YAML as settings are written: plain values, each key once, with the lines that they stand in.

The values are those of YAML 1.2's core schema: ``true`` and ``false``, decimal numbers, ``null``, text. What only older
YAML takes for a value (``yes``, ``1:30``, ``0x10``, ``010``, ``1_000``, a date) is text here, so that no setting is
silently another one. Tags are refused. The text is read as a stream of events: nesting, repetition by aliases and size
have limits, and no input takes long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGEST = 1 << 20  # characters
DEEPEST = 30
MOST_VALUES = 100_000  # with those that aliases repeat
DIGITS = 40  # of a number; longer ones stay text, and no setting takes them

Key = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_SWITCHES = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)


class BadYaml(ValueError):
    """The text is not YAML that settings can be read from; the message says why and in which line."""


@dataclass(frozen=True, slots=True)
class Twice:
    """A key that one mapping has twice."""

    key: Key
    first: int
    second: int


@dataclass(slots=True)
class YamlText:
    """What a text says.

    Attributes:
        value: its value.
        lines: for the place of each value, the line that its key, or the entry of a list, is in.
        twice: keys that are there twice; their first value counts.
    """

    value: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    twice: list[Twice] = field(default_factory=list)


def read(text: str) -> YamlText:
    """Returns the value of a text.

    Raises:
        BadYaml: it is no YAML, or more than plain values.
    """
    if len(text) > LARGEST:
        raise BadYaml(f"it has {len(text):,} characters; {LARGEST:,} are the limit")
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadYaml(f"{error.problem or error}{where}") from None
    except yaml.YAMLError as error:
        raise BadYaml(" ".join(str(error).split())) from None
    except UnicodeError:
        raise BadYaml("it holds characters that are not Unicode") from None
    return reader.found


def plain_value(text: str) -> Any:
    """Returns the value of an unquoted text."""
    if text in _NULL:
        return None
    if text in _SWITCHES:
        return _SWITCHES[text]
    if len(text) <= DIGITS:
        if _WHOLE.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text):
            return float(text)
        if no_number := _NO_NUMBER.fullmatch(text):
            return float(no_number[1] + no_number[2])
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    place: Key
    anchor: str | None
    key: str | None = None
    line: int = 0
    key_lines: dict[str, int] = field(default_factory=dict)
    merged: list[Any] = field(default_factory=list)
    size: int = 1


class _Reader:
    """Builds the value from events."""

    def __init__(self) -> None:
        self.found = YamlText()
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise BadYaml(f"a second document begins in line {line}; settings are one document")
        if getattr(event, "tag", None) and event.tag != "!":
            raise BadYaml(f"the tag {_short(event.tag)} in line {line} is not read; write plain values")
        if isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(line)

    def _scalar(self, event: Any, line: int) -> None:
        holder = self._open[-1] if self._open else None
        if holder and isinstance(holder.value, dict) and holder.key is None:
            holder.key, holder.line = event.value, line
            return
        value = plain_value(event.value) if event.implicit[0] else event.value
        self._put(value, 1, line)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _alias(self, name: str, line: int) -> None:
        if any(holder.anchor == name for holder in self._open):
            raise BadYaml(f"*{_short(name)} in line {line} stands inside of what it repeats")
        if name not in self._anchors:
            raise BadYaml(f"*{_short(name)} in line {line} has no anchor &{_short(name)} before it")
        self._put(*self._anchors[name], line)

    def _begin(self, value: dict[str, Any] | list[Any], anchor: str | None, line: int) -> None:
        if len(self._open) >= DEEPEST:
            raise BadYaml(f"line {line} is nested more than {DEEPEST} levels deep")
        place: Key = ()
        if self._open:
            holder = self._open[-1]
            if isinstance(holder.value, dict) and holder.key is None:
                raise BadYaml(f"the key in line {line} is not a plain text")
            place = (*holder.place, holder.key if isinstance(holder.value, dict) else len(holder.value))  # type: ignore[arg-type]
        self._open.append(_Open(value, place, anchor, line=line))

    def _end(self, line: int) -> None:
        closed = self._open.pop()
        if isinstance(closed.value, dict):
            for extra in closed.merged:
                closed.value.update({key: value for key, value in extra.items() if key not in closed.value})
        if closed.anchor:
            self._anchors[closed.anchor] = (closed.value, closed.size)
        self._put(closed.value, closed.size, self._open[-1].line if self._open else line)

    def _put(self, value: Any, size: int, line: int) -> None:
        if not self._open:
            self.found.value = value
            return
        holder = self._open[-1]
        holder.size += size
        if holder.size > MOST_VALUES:
            raise BadYaml(f"it holds more than {MOST_VALUES:,} values, with those that aliases repeat (line {line})")
        if isinstance(holder.value, list):
            self.found.lines[*holder.place, len(holder.value)] = line
            holder.value.append(value)
            return
        key, holder.key = holder.key, None
        if key is None:
            raise BadYaml(f"the key in line {line} is not a plain text")
        if key == "<<":
            self._merge(holder, value, line)
        elif key in holder.key_lines:
            self.found.twice.append(Twice((*holder.place, key), holder.key_lines[key], holder.line))
        else:
            holder.key_lines[key] = self.found.lines[*holder.place, key] = holder.line
            holder.value[key] = value

    def _merge(self, holder: _Open, value: Any, line: int) -> None:
        """Keeps what ``<<`` names until the mapping ends: its own keys come first."""
        extras = value if isinstance(value, list) else [value]
        if not all(isinstance(extra, dict) for extra in extras):
            raise BadYaml(f"<< in line {line} takes a mapping, or a list of mappings")
        holder.merged += extras


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
