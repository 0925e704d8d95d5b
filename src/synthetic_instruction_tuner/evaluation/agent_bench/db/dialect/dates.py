"""MySQL's dates: what it reads from texts, parts of them, differences, and formats.

Formats are Python's, into which sqlglot translates MySQL's.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.numbers import number
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import text

_DATE = re.compile(r"\s*(\d{4}|\d{2})[-/.:](\d{1,2})[-/.:](\d{1,2})(?!\d)(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?")
_DIGITS = re.compile(r"\s*(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?\s*$")
_TIME = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?")
_LONGEST = 200  # characters of a format
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "WEEK": 604_800}


def moment(value: Any) -> datetime | None:
    """Returns the point in time that a value names; None where it names none."""
    if value is None:
        return None
    shown = text(value)
    found = _DATE.match(shown) or _DIGITS.match(shown)
    if found is None:
        return None
    year = int(found[1])
    if len(found[1]) == 2:
        year += 1900 if year >= 70 else 2000
    try:
        return datetime(year, *(int(part or 0) for part in found.groups()[1:]))  # type: ignore[arg-type]
    except ValueError:
        return None


def day_of(value: Any) -> str | None:
    """Returns DATE: the day as text."""
    found = moment(value)
    return found.date().isoformat() if found else None


def part(name: str) -> Callable[[Any], int | None]:
    """Returns the function for a part of a date or time, such as ``year``."""

    def taken(value: Any) -> int | None:
        found = moment(value)
        return int(getattr(found, name)) if found else None

    return taken


def counted(count: Callable[[date], int]) -> Callable[[Any], int | None]:
    """Returns a function of the day."""

    def taken(value: Any) -> int | None:
        found = moment(value)
        return count(found.date()) if found else None

    return taken


def named(names: Any, count: Callable[[date], int]) -> Callable[[Any], str | None]:
    """Returns the function that names a day's weekday or month."""

    def taken(value: Any) -> str | None:
        found = moment(value)
        return str(names[count(found.date())]) if found else None

    return taken


def difference(first: Any, second: Any) -> int | None:
    """Returns DATEDIFF: days from the second to the first."""
    a, b = moment(first), moment(second)
    return (a.date() - b.date()).days if a and b else None


def later(value: Any, count: Any, unit: Any) -> str | None:
    """Returns DATE_ADD."""
    found = moment(value)
    if found is None or count is None:
        return None
    n = int(number(count))
    try:
        if unit in _MONTHS:
            month = found.year * 12 + found.month - 1 + n * _MONTHS[unit]
            year, month = month // 12, month % 12 + 1
            moved = found.replace(year=year, month=month, day=min(found.day, calendar.monthrange(year, month)[1]))
        else:
            moved = found + timedelta(seconds=n * _SECONDS[unit])
    except (ValueError, OverflowError, KeyError):
        return None
    timed = ":" in text(value) or unit in ("SECOND", "MINUTE", "HOUR")
    return moved.isoformat(" ") if timed else moved.date().isoformat()


def shown(value: Any, form: Any) -> str | None:
    """Returns DATE_FORMAT."""
    found = moment(value)
    if found is None or form is None:
        return None
    return re.sub(r"%-?.", lambda m: _piece(found, m[0]), text(form)[:_LONGEST])


def read(value: Any, form: Any) -> str | None:
    """Returns STR_TO_DATE: a day, a time or both, as the format has them."""
    if value is None or form is None:
        return None
    if len(text(form)) > _LONGEST:
        return None
    python = text(form).replace("%-", "%").replace("%D", "%d")
    shown_value = text(value).strip()
    if "%D" in text(form):
        shown_value = re.sub(r"\b(\d{1,2})(st|nd|rd|th)\b", r"\1", shown_value)
    found = _parsed(shown_value, python)
    if found is None:
        return None
    has_time = bool(re.search(r"%[HIMSpfTr]", python))
    if not re.search(r"%[YymdbBjaA]", python):
        return found.time().isoformat()
    return found.isoformat(" ") if has_time else found.date().isoformat()


def _parsed(value: str, form: str) -> datetime | None:
    """Returns what the beginning of a text says in a format; MySQL lets more follow."""
    try:
        return datetime.strptime(value, form)
    except ValueError as error:
        rest = re.fullmatch(r"unconverted data remains: (.*)", str(error), re.DOTALL)
        return _parsed(value[: -len(rest[1])], form) if rest and rest[1] else None
    except re.error:
        return None


def instant(value: Any) -> str | None:
    """Returns a point in time as text, as CAST AS DATETIME does."""
    found = moment(value)
    return found.isoformat(" ") if found else None


def span(first: Any, second: Any, unit: Any) -> int | None:
    """Returns TIMESTAMPDIFF: whole units from the first to the second."""
    a, b = moment(first), moment(second)
    if a is None or b is None:
        return None
    if unit in _MONTHS:
        early, late = min(a, b), max(a, b)
        months = (late.year - early.year) * 12 + late.month - early.month
        months -= (late.day, late.time()) < (early.day, early.time())
        found = months // _MONTHS[unit]
    elif unit in _SECONDS:
        found = int(abs((b - a).total_seconds())) // _SECONDS[unit]
    else:
        return None
    return found if b >= a else -found


def week(value: Any, mode: Any = 0) -> int | None:
    """Returns WEEK: from Sunday on (mode 0), or as ISO 8601 counts (1 and 3)."""
    found = moment(value)
    if found is None:
        return None
    if int(number(mode)) == 3:
        return found.isocalendar().week
    if int(number(mode)) == 1:
        year, number_, _ = found.isocalendar()
        return number_ if year == found.year else 0 if year < found.year else 53
    return int(found.strftime("%U"))


def month_end(value: Any) -> str | None:
    """Returns LAST_DAY."""
    found = moment(value)
    if found is None:
        return None
    return found.date().replace(day=calendar.monthrange(found.year, found.month)[1]).isoformat()


def day_number(value: Any) -> str | None:
    """Returns FROM_DAYS: the day with this number."""
    try:
        return date.fromordinal(int(number(value)) - 365).isoformat() if value is not None else None
    except (ValueError, OverflowError):
        return None


def seconds(value: Any) -> int | None:
    """Returns UNIX_TIMESTAMP of a point in time, which is taken for one in UTC."""
    found = moment(value)
    return None if found is None else max(0, int((found - datetime(1970, 1, 1)).total_seconds()))


def seconds_of_day(value: Any) -> int | None:
    """Returns TIME_TO_SEC of a time, or of the time behind a day."""
    if value is None:
        return None
    found = _TIME.search(text(value))
    return None if found is None else int(found[1]) * 3_600 + int(found[2]) * 60 + int(found[3] or 0)


def _piece(found: datetime, code: str) -> str:
    if code == "%D":
        day = found.day
        return f"{day}{'th' if 10 <= day % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
    if code.startswith("%-"):
        return (found.strftime(f"%{code[2:]}").lstrip("0")) or "0"
    return found.strftime(code) if code[1] in "YymdHIMSpfjaAbBTUuwW" else code[1:]
