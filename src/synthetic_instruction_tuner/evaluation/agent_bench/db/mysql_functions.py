"""MySQL's functions and its way of comparing text, for SQLite.

Texts are equal where they differ in case or accents alone, as in MySQL 8's default collation, utf8mb4_0900_ai_ci.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import regex  # type: ignore[import-untyped]  # no types come with it

from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import GROUP_CONCAT

COLLATION = "mysql_ai_ci"
_MATCH_SECONDS = 2.0  # for one regular expression
_SHOWN_DIGITS = 15
_MOST_JOINED = 100_000  # values in one GROUP_CONCAT
_LONGEST = 1_000_000  # characters that a function makes


def register(connection: sqlite3.Connection) -> None:
    """Gives a connection the collation and the functions."""
    connection.create_collation(COLLATION, _compare)
    for name, (arguments, function) in _FUNCTIONS.items():
        connection.create_function(name, arguments, function, deterministic=True)
    connection.create_function("like", 3, _like, deterministic=True)
    connection.create_aggregate("join_all", 4, _Join)  # type: ignore[arg-type]  # typeshed wants all to return int
    connection.create_aggregate("join_distinct", 4, _JoinDistinct)  # type: ignore[arg-type]
    connection.create_aggregate("sum", 1, _Sum)  # type: ignore[arg-type]  # typeshed wants it to return int


def text(value: Any) -> str:
    """Returns a value as MySQL makes text of it: whole numbers without a point."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**_SHOWN_DIGITS else repr(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=65_536)
def key(value: str) -> str:
    """Returns what texts are compared by."""
    spread = unicodedata.normalize("NFKD", value).casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", spread) if not unicodedata.combining(c))


def _compare(first: str, second: str) -> int:
    a, b = key(first), key(second)
    return (a > b) - (a < b)


class _Join:
    """GROUP_CONCAT: the values in order of their keys, or as they come; cut at MySQL's limit."""

    distinct = False

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._down, self._separator, self._sorted = False, ",", False

    def step(self, value: Any, by: Any, down: Any, separator: Any) -> None:
        """Adds a value."""
        self._down, self._separator = bool(down), text(separator)
        if value is not None and len(self._found) <= _MOST_JOINED:
            self._sorted = self._sorted or by is not None
            self._found.append((key(text(by)) if by is not None else "", text(value)))

    def finalize(self) -> str | None:
        """Returns the values in one text; None of nothing."""
        if self._sorted:
            self._found.sort(key=lambda pair: pair[0], reverse=self._down)
        values = [value for _, value in self._found]
        if self.distinct:
            values = list({key(value): value for value in reversed(values)}.values())[::-1]
        return self._separator.join(values)[:GROUP_CONCAT] if values else None


class _JoinDistinct(_Join):
    distinct = True


class _Sum:
    """SUM: of texts a float, as MySQL's double; of whole numbers whole."""

    def __init__(self) -> None:
        self._total: float = 0
        self._any = False

    def step(self, value: Any) -> None:
        """Adds a value."""
        if value is None:
            return
        self._any = True
        self._total += _number(value)

    def finalize(self) -> float | None:
        """Returns the sum; None of nothing."""
        return self._total if self._any else None


def _number(value: Any) -> float:
    """Returns a value as a number: of a text its numeric beginning."""
    if isinstance(value, (int, float)):
        return value
    found = re.match(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)", str(value))
    return float(found[1]) if found else 0.0


def _like(pattern: Any, value: Any, escape: str = "\\") -> bool | None:
    if pattern is None or value is None:
        return None
    return _pattern(text(pattern), escape).fullmatch(key(text(value))) is not None


@lru_cache(maxsize=256)
def _pattern(pattern: str, escape: str) -> re.Pattern[str]:
    parts, escaped = [], False
    for character in pattern:
        if escaped or character not in (escape, "%", "_"):
            parts.append(re.escape(key(character)))
            escaped = False
        elif character == escape:
            escaped = True
        else:
            parts.append(".*?" if character == "%" else ".")
    return re.compile("".join(parts), re.DOTALL)


def _regexp(pattern: Any, value: Any) -> bool | None:
    if pattern is None or value is None:
        return None
    found = regex.search(str(pattern), text(value), regex.IGNORECASE, timeout=_MATCH_SECONDS)
    return found is not None


def _md5(value: Any) -> str | None:
    return None if value is None else hashlib.md5(text(value).encode(), usedforsecurity=False).hexdigest()


def _concat(*values: Any) -> str | None:
    return None if None in values else "".join(map(text, values))


def _concat_ws(separator: Any, *values: Any) -> str | None:
    return None if separator is None else text(separator).join(text(v) for v in values if v is not None)


def _concat_key(*values: Any) -> str | None:
    return None if None in values else "\x00".join(key(text(v)) for v in values)


def _substring_index(value: Any, separator: Any, count: Any) -> str | None:
    if None in (value, separator, count):
        return None
    parts, n = text(value).split(text(separator)) if separator else [], int(_number(count))
    return text(separator).join(parts[:n] if n >= 0 else parts[n:])


def _left(value: Any, count: Any) -> str | None:
    return None if None in (value, count) else text(value)[: max(0, int(_number(count)))]


def _right(value: Any, count: Any) -> str | None:
    n = 0 if count is None else max(0, int(_number(count)))
    return (
        None
        if None in (value, count)
        else text(value)[len(text(value)) - n :]
        if n <= len(text(value))
        else text(value)
    )


def _pad(left: bool) -> Callable[[Any, Any, Any], str | None]:
    def padded(value: Any, length: Any, filler: Any) -> str | None:
        if None in (value, length, filler):
            return None
        shown, n = text(value), min(int(_number(length)), 100_000)
        more = (text(filler) * n)[: max(0, n - len(shown))] if filler else ""
        return (more + shown if left else shown + more)[: max(0, n)]

    return padded


def _repeat(value: Any, count: Any) -> str | None:
    if None in (value, count):
        return None
    shown, n = text(value), max(0, int(_number(count)))
    return shown * n if len(shown) * n <= _LONGEST else None  # as MySQL beyond max_allowed_packet


def _field(wanted: Any, *values: Any) -> int:
    return next((k for k, v in enumerate(values, 1) if v is not None and key(text(v)) == key(text(wanted))), 0)


def _find_in_set(wanted: Any, values: Any) -> int | None:
    return None if None in (wanted, values) else _field(wanted, *text(values).split(","))


def _truncate(value: Any, digits: Any) -> float | None:
    if None in (value, digits):
        return None
    scale = float(10 ** max(-15, min(15, int(_number(digits)))))
    return int(_number(value) * scale) / scale


def _date_part(part: str) -> Callable[[Any], int | None]:
    def taken(value: Any) -> int | None:
        try:
            day = date.fromisoformat(text(value)[:10])
        except ValueError:
            return None
        return int(getattr(day, part))

    return taken


_MYSQL_FORMATS = {"%i": "%M", "%M": "%B", "%c": "%m", "%e": "%d", "%D": "%d", "%k": "%H", "%s": "%S", "%W": "%A"}


def _str_to_date(value: Any, form: Any) -> str | None:
    if None in (value, form):
        return None
    python = re.sub("%.", lambda m: _MYSQL_FORMATS.get(m[0], m[0]), text(form))
    try:
        return datetime.strptime(text(value), python).date().isoformat()
    except ValueError:
        return None


def _if(condition: Any, yes: Any, no: Any) -> Any:
    return yes if condition is not None and _number(condition) else no


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "md5": (1, _md5),
    "concat": (-1, _concat),
    "concat_ws": (-1, _concat_ws),
    "concat_key": (-1, _concat_key),
    "mysql_text": (1, lambda v: None if v is None else text(v)),
    "like": (2, _like),
    "regexp": (2, _regexp),
    "substring_index": (3, _substring_index),
    "mysql_left": (2, _left),
    "mysql_right": (2, _right),
    "lpad": (3, _pad(left=True)),
    "rpad": (3, _pad(left=False)),
    "repeat": (2, _repeat),
    "space": (1, lambda n: _repeat(" ", n)),
    "field": (-1, _field),
    "find_in_set": (2, _find_in_set),
    "truncate": (2, _truncate),
    "reverse": (1, lambda v: None if v is None else text(v)[::-1]),
    "year": (1, _date_part("year")),
    "month": (1, _date_part("month")),
    "day": (1, _date_part("day")),
    "str_to_date": (2, _str_to_date),
    "if": (3, _if),
}
