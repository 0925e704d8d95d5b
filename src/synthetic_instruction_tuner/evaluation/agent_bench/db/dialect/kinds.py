"""How MySQL's connector prints a column of a result: as a decimal with so many digits, as a date, or as it is.

SQLite has neither decimals nor dates; which columns would have them follows from the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sqlglot import exp

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.expressions import scale

_MORE = 4  # digits that a division or a mean adds
_WHOLE = (exp.Count, exp.Length, exp.IntDiv, exp.StrPosition, exp.Year, exp.Month, exp.Day, exp.DateDiff)
_TRUE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.Boolean)
_DATES = (exp.TsOrDsToDate, exp.StrToDate, exp.CurrentDate)
Printed = Callable[[Any], Any]


def printers(tree: Any) -> dict[int, Printed]:
    """Returns how values are printed, by the number of their column; others are printed as they are."""
    found: dict[int, Printed] = {}
    if not isinstance(tree, exp.Select):
        return found
    for number, column in enumerate(tree.expressions):
        node = column.unalias()
        digits = _digits(node)
        if _is_date(node):
            found[number] = _day
        elif isinstance(node, (exp.Floor, exp.Ceil)) and _digits(node.this) is not None:
            found[number] = int
        elif isinstance(node, exp.Sum) and digits is None:
            found[number] = _whole_sum
        elif digits is not None and digits >= 0:
            found[number] = _decimal(digits)
    return found


def printed_row(row: Sequence[Any], kinds: dict[int, Printed]) -> tuple[Any, ...]:
    """Returns a row as the connector gives it."""
    return tuple(kinds[k](value) if k in kinds and value is not None else value for k, value in enumerate(row))


def _digits(node: Any) -> int | None:
    """Returns a decimal's digits behind the point, -1 for a whole number, and None for doubles, texts and unknowns."""
    if isinstance(node, exp.Literal):
        return _literal(node)
    if isinstance(node, (*_WHOLE, *_TRUE)):
        return -1
    if isinstance(node, exp.Cast):
        if node.to.is_type(exp.DataType.Type.DECIMAL):
            return scale(node)
        return -1 if node.to.is_type(*exp.DataType.INTEGER_TYPES) else None
    if isinstance(node, (exp.Paren, exp.Neg, exp.Max, exp.Min, exp.Abs)):
        return _digits(node.this)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)):
        return _calculated(node)
    if isinstance(node, (exp.Sum, exp.Avg)):
        inner = _digits(node.this)
        more = _MORE if isinstance(node, exp.Avg) else 0
        return None if inner is None else max(inner, 0) + more
    if isinstance(node, (exp.Round, exp.Trunc)):
        inner = _digits(node.this)
        places = node.args.get("decimals")
        wanted = int(places.name) if isinstance(places, exp.Literal) else 0
        return inner if inner is None or inner < 0 else max(0, min(inner, wanted))
    return None


def _calculated(node: Any) -> int | None:
    left, right = _digits(node.left), _digits(node.right)
    if left is None or right is None:
        return None
    if isinstance(node, exp.Div):
        return max(left, 0) + _MORE
    if isinstance(node, exp.Mul) and max(left, right) >= 0:
        return max(left, 0) + max(right, 0)
    return max(left, right)


def _literal(node: exp.Literal) -> int | None:
    shown = str(node.this)
    if node.is_string or "e" in shown.lower():
        return None
    return len(shown.partition(".")[2]) if "." in shown else -1


def _is_date(node: Any) -> bool:
    if isinstance(node, exp.StrToDate):
        return not any(code in str(node.args["format"]) for code in ("%H", "%I", "%M:", "%S"))
    return isinstance(node, _DATES) or (isinstance(node, exp.Cast) and node.to.is_type(exp.DataType.Type.DATE))


def _decimal(digits: int) -> Printed:
    def shown(value: Any) -> Any:
        if not isinstance(value, (int, float)):
            return value
        try:
            return Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
        except InvalidOperation:
            return value

    return shown


def _whole_sum(value: Any) -> Any:
    return Decimal(value) if isinstance(value, int) else value


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        return value
