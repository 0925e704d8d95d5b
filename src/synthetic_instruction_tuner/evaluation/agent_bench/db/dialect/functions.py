"""MySQL's functions for SQLite."""

from __future__ import annotations

import calendar
import hashlib
import sqlite3
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from math import log10
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect import dates, numbers
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.joining import Join, JoinDistinct
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.numbers import number
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.patterns import Expressions, like, like_binary
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import COLLATION, compare, key, letters, text
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.work import Work

_OWN = ("sqlite_rename_", "sqlite_drop_", "sqlite_fail", "printf")  # what ALTER TABLE uses; no statement can call them
_SHA2 = ("sha224", "sha256", "sha384", "sha512")
_LONGEST = 1_000_000  # characters that a function makes


def register(connection: sqlite3.Connection) -> Work:
    """Gives a connection the collation and the functions, and returns what limits them."""
    work = Work()
    connection.create_collation(COLLATION, compare)
    expressions = Expressions(work)
    bound: dict[str, tuple[int, Callable[..., Any]]] = {
        "regexp": (2, expressions.matches),
        "regexp_replace": (3, expressions.replaced),
        "regexp_substr": (2, expressions.found),
    }
    for name, (arguments, function) in (_FUNCTIONS | bound).items():
        connection.create_function(name, arguments, work.counted(function), deterministic=True)
    connection.create_function("like", 3, work.counted(like), deterministic=True)
    connection.create_aggregate("join_all", 4, Join)  # type: ignore[arg-type]  # typeshed wants all to return int
    connection.create_aggregate("join_distinct", 4, JoinDistinct)  # type: ignore[arg-type]
    connection.create_window_function("sum", 1, numbers.Sum)
    connection.create_aggregate("mysql_variance", 1, numbers.Variance)  # type: ignore[arg-type]
    connection.create_aggregate("mysql_stddev", 1, numbers.Deviation)  # type: ignore[arg-type]
    return work


def is_known(name: str) -> bool:
    """Whether a function is one of MySQL's; SQLite has others, which work on files or make texts without end."""
    return name.lower() in _KNOWN or name.startswith(_OWN)


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
    parts, n = text(value).split(text(separator)) if separator else [], int(number(count))
    return text(separator).join(parts[:n] if n >= 0 else parts[n:])


def _left(value: Any, count: Any) -> str | None:
    return None if None in (value, count) else text(value)[: max(0, int(number(count)))]


def _right(value: Any, count: Any) -> str | None:
    n = 0 if count is None else max(0, int(number(count)))
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
        shown, n = text(value), min(int(number(length)), 100_000)
        more = (text(filler) * n)[: max(0, n - len(shown))] if filler else ""
        return (more + shown if left else shown + more)[: max(0, n)]

    return padded


def _repeat(value: Any, count: Any) -> str | None:
    if None in (value, count):
        return None
    shown, n = text(value), max(0, int(number(count)))
    return shown * n if len(shown) * n <= _LONGEST else None  # as MySQL beyond max_allowed_packet


def _field(wanted: Any, *values: Any) -> int:
    return next((k for k, v in enumerate(values, 1) if v is not None and key(text(v)) == key(text(wanted))), 0)


def _find_in_set(wanted: Any, values: Any) -> int | None:
    return None if None in (wanted, values) else _field(wanted, *text(values).split(","))


def _all_replaced(value: Any, old: Any, new: Any) -> str | None:
    if None in (value, old, new):
        return None
    shown, wanted, given = text(value), text(old), text(new)
    if not wanted:
        return shown
    length = len(shown) + shown.count(wanted) * (len(given) - len(wanted))
    return shown.replace(wanted, given) if length <= _LONGEST else None


def _place(value: Any, wanted: Any, start: Any = 1) -> int | None:
    if None in (value, wanted, start):
        return None
    begin = int(number(start))
    return letters(text(value)).find(letters(text(wanted)), begin - 1) + 1 if begin > 0 else 0


def _middle(value: Any, start: Any, count: Any = _LONGEST) -> str | None:
    if None in (value, start, count):
        return None
    shown, begin, n = text(value), int(number(start)), int(number(count))
    begin = begin - 1 if begin > 0 else len(shown) + begin
    return shown[begin : begin + n] if begin >= 0 and n > 0 and start else ""


def _stuffed(value: Any, start: Any, count: Any, new: Any) -> str | None:
    if None in (value, start, count, new):
        return None
    shown, begin, n = text(value), int(number(start)), int(number(count))
    if not 1 <= begin <= len(shown):
        return shown
    return shown[: begin - 1] + text(new) + (shown[begin - 1 + n :] if n >= 0 else "")


def _capital(character: str) -> str:
    found = character.upper()
    return found if len(found) == 1 else character


def _elt(place: Any, *values: Any) -> Any:
    n = 0 if place is None else int(number(place))
    return values[n - 1] if 0 < n <= len(values) else None


def _extreme(values: tuple[Any, ...], choose: Callable[..., Any]) -> Any:
    return None if None in values else choose(values, key=lambda value: key(text(value)))


def _sha2(value: Any, bits: Any) -> str | None:
    kind = f"sha{int(number(bits)) or 256}" if bits is not None else ""
    return None if value is None or kind not in _SHA2 else hashlib.new(kind, text(value).encode()).hexdigest()


def _if(condition: Any, yes: Any, no: Any) -> Any:
    return yes if condition is not None and number(condition) else no


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "md5": (1, _md5),
    "concat": (-1, _concat),
    "concat_ws": (-1, _concat_ws),
    "concat_key": (-1, _concat_key),
    "mysql_text": (1, lambda v: None if v is None else text(v)),
    "like": (2, like),
    "substring_index": (3, _substring_index),
    "mysql_left": (2, _left),
    "mysql_right": (2, _right),
    "lpad": (3, _pad(left=True)),
    "rpad": (3, _pad(left=False)),
    "repeat": (2, _repeat),
    "space": (1, lambda n: _repeat(" ", n)),
    "field": (-1, _field),
    "find_in_set": (2, _find_in_set),
    "truncate": (2, numbers.truncated),
    "mysql_format": (-1, numbers.grouped),
    "mysql_signed": (1, numbers.signed),
    "mysql_decimal": (2, numbers.decimal),
    "mysql_fixed": (2, numbers.fixed),
    "mysql_cut": (2, numbers.cut),
    "log10": (1, lambda v: None if v is None or number(v) <= 0 else log10(number(v))),
    "user": (0, lambda: "agent@localhost"),
    "now": (0, lambda: datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "seconds")),
    "mysql_bytes": (1, lambda v: None if v is None else len(text(v).encode())),
    "mysql_instr": (-1, _place),
    "mysql_stuff": (4, _stuffed),
    "mid": (-1, _middle),
    "like_binary": (2, like_binary),
    "upper": (1, lambda v: None if v is None else "".join(_capital(c) for c in text(v))),
    "lower": (1, lambda v: None if v is None else text(v).lower()),
    "elt": (-1, _elt),
    "mysql_greatest": (-1, lambda *values: _extreme(values, max)),
    "mysql_least": (-1, lambda *values: _extreme(values, min)),
    "strcmp": (2, lambda a, b: None if None in (a, b) else compare(text(a), text(b))),
    "sha1": (1, lambda v: None if v is None else hashlib.sha1(text(v).encode(), usedforsecurity=False).hexdigest()),
    "sha2": (2, _sha2),
    "crc32": (1, lambda v: None if v is None else zlib.crc32(text(v).encode())),
    "mysql_mod": (2, numbers.remainder),
    "mysql_round": (3, numbers.rounded),
    "mysql_datetime": (1, dates.instant),
    "mysql_span": (3, lambda b, a, unit: dates.span(b, a, unit)),
    "week": (-1, dates.week),
    "last_day": (1, dates.month_end),
    "to_days": (1, dates.counted(lambda day: day.toordinal() + 365)),
    "from_days": (1, dates.day_number),
    "unix_timestamp": (1, dates.seconds),
    "time_to_sec": (1, dates.seconds_of_day),
    "replace": (3, _all_replaced),
    "reverse": (1, lambda v: None if v is None else text(v)[::-1]),
    "mysql_date": (1, dates.day_of),
    **{f"mysql_{name}": (1, dates.part(name)) for name in ("year", "month", "day", "hour", "minute", "second")},
    "quarter": (1, dates.counted(lambda day: (day.month + 2) // 3)),
    "dayofweek": (1, dates.counted(lambda day: day.isoweekday() % 7 + 1)),
    "dayofyear": (1, dates.counted(lambda day: day.timetuple().tm_yday)),
    "ascii": (1, lambda v: None if v is None else (text(v).encode() + b"\0")[0]),
    "last_insert_id": (0, lambda: 0),
    "weekday": (1, dates.counted(lambda day: day.weekday())),
    "dayname": (1, dates.named(calendar.day_name, lambda day: day.weekday())),
    "mysql_datediff": (2, dates.difference),
    "mysql_date_add": (3, dates.later),
    "mysql_read_date": (2, dates.read),
    "mysql_show_date": (2, dates.shown),
    "if": (3, _if),
}
_SQLITES = """
regexp regexp_replace regexp_substr join_all join_distinct sum mysql_variance mysql_stddev abs acos asin atan
atan2 avg ceil ceiling char coalesce concat cos count cume_dist current_date current_time current_timestamp date
datetime degrees dense_rank exp first_value floor group_concat hex ifnull iif instr lag last_value lead length
ln log log10 log2 lower ltrim max min mod nth_value ntile nullif percent_rank pi pow power radians rank round
row_number rtrim sign sin sqrt strftime substr substring tan time total trim upper
"""  # of SQLite, and as MySQL has them
_KNOWN = frozenset(_FUNCTIONS) | frozenset(_SQLITES.split())
