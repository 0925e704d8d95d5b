"""What kind of value an expression has, and so how MySQL's connector prints it: as a decimal, as a date, or as it is.

SQLite has neither decimals nor dates; which expressions would have them follows from the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sqlglot import exp

_MORE = 4  # digits that a division or a mean adds
_GROUP = 9  # digits that MySQL keeps together
_WHOLE = (exp.Count, exp.Length, exp.IntDiv, exp.StrPosition, exp.Year, exp.Month, exp.Day, exp.DateDiff)
ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_NUMERIC = (
    *(*ARITHMETIC, exp.IntDiv, exp.Neg, exp.Sum, exp.Avg, exp.Count, exp.Length, exp.Round, exp.Abs, exp.Ceil),
    *(exp.Floor, exp.Trunc, exp.StrPosition, exp.DateDiff, exp.Year, exp.Month, exp.Day, exp.Extract, exp.Boolean),
)
_OF_NUMBERS = """
MYSQL_SIGNED MYSQL_DECIMAL MYSQL_BYTES MYSQL_INSTR MYSQL_YEAR MYSQL_MONTH MYSQL_DAY MYSQL_HOUR MYSQL_MINUTE
MYSQL_SECOND MYSQL_DATEDIFF MYSQL_MOD MYSQL_ROUND MYSQL_SPAN MYSQL_STDDEV MYSQL_VARIANCE TRUNCATE FIELD
FIND_IN_SET WEEK TO_DAYS TIME_TO_SEC UNIX_TIMESTAMP CRC32 STRCMP LOG10
"""  # functions whose results are numbers
_NUMBERS = frozenset(_OF_NUMBERS.split())
_TRUE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.Boolean)
_DATES = (exp.TsOrDsToDate, exp.StrToDate, exp.CurrentDate, exp.LastDay)
Printed = Callable[[Any], Any]


def printers(tree: Any) -> dict[int, Printed]:
    """Returns how values are printed, by the number of their column; others are printed as they are."""
    found: dict[int, Printed] = {}
    if not isinstance(tree, exp.Select):
        return found
    for number, column in enumerate(tree.expressions):
        node = column.unalias()
        digits = decimals(node)
        if _is_date(node):
            found[number] = _day
        elif isinstance(node, exp.Cast) and node.to.is_type(exp.DataType.Type.DATETIME, exp.DataType.Type.TIMESTAMP):
            found[number] = _moment
        elif isinstance(node, (exp.Floor, exp.Ceil)) and decimals(node.this) is not None:
            found[number] = int
        elif isinstance(node, exp.Sum) and digits is None:
            found[number] = _whole_sum
        elif digits is not None and digits >= 0:
            found[number] = _decimal(digits)
    return found


def printed_row(row: Sequence[Any], kinds: dict[int, Printed]) -> tuple[Any, ...]:
    """Returns a row as the connector gives it."""
    return tuple(kinds[k](value) if k in kinds and value is not None else value for k, value in enumerate(row))


def decimals(node: Any, kept: bool = False) -> int | None:
    """Returns a decimal's digits behind the point, -1 for a whole number, and None for doubles, texts and unknowns.

    Args:
        node: an expression, also one that has been rewritten.
        kept: whether to count the digits that are stored where a text is made of it: a quotient has whole groups of 9.
    """
    if isinstance(node, exp.Literal):
        return _literal(node)
    if isinstance(node, (*_WHOLE, *_TRUE)):
        return -1
    if isinstance(node, exp.Cast):
        if node.to.is_type(exp.DataType.Type.DECIMAL):
            return scale(node)
        return -1 if node.to.is_type(*exp.DataType.INTEGER_TYPES) else None
    if isinstance(node, (exp.Paren, exp.Neg, exp.Max, exp.Min, exp.Abs)):
        return decimals(node.this, kept)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)):
        return _calculated(node, node.left, node.right, kept)
    if isinstance(node, (exp.Sum, exp.Avg)):
        inner = decimals(node.this, kept)
        if inner is None:
            return None
        return _quotient(max(inner, 0), 0, kept) if isinstance(node, exp.Avg) else max(inner, 0)
    if isinstance(node, (exp.Round, exp.Trunc)):
        return _rounded(decimals(node.this), node.args.get("decimals"))
    if isinstance(node, exp.Anonymous):
        return _made(str(node.this).upper(), node.expressions)
    if isinstance(node, exp.Subquery):
        return decimals(_only_column(node), kept)
    if isinstance(node, exp.Column):
        return decimals(source_of(node), kept)
    return _chosen(_choices(node))


def is_number(node: Any) -> bool:
    """Whether an expression is a number, whatever the columns hold."""
    if isinstance(node, exp.Paren):
        return is_number(node.this)
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Cast):
        return bool(node.to.is_type(*exp.DataType.NUMERIC_TYPES))
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _NUMBERS
    if isinstance(node, (exp.Max, exp.Min, exp.Window)):
        return is_number(node.this)
    if isinstance(node, exp.Subquery):
        columns = node.unnest().expressions if isinstance(node.unnest(), exp.Select) else []
        return len(columns) == 1 and is_number(columns[0].unalias())
    if isinstance(node, exp.Column):
        return (source := source_of(node)) is not None and is_number(source)
    return decimals(node) is not None or isinstance(node, _NUMERIC)


def _made(name: str, given: Sequence[Any]) -> int | None:
    """The same for the functions that stand for MySQL's; see `expressions`."""
    if name == "MYSQL_DECIMAL":
        return int(given[1].name)
    if name == "MYSQL_MOD":
        return _calculated(None, given[0], given[1], kept=False)
    if name in ("MYSQL_ROUND", "TRUNCATE"):
        return _rounded(decimals(given[0]), given[1])
    return -1 if name in ("MYSQL_SIGNED", "MYSQL_BYTES", "MYSQL_INSTR") else None


def _rounded(inner: int | None, places: Any) -> int | None:
    wanted = int(places.name) if isinstance(places, exp.Literal) else 0
    return inner if inner is None or inner < 0 else max(0, min(inner, wanted))


def _choices(node: Any) -> list[Any]:
    """Returns the values of which an expression takes one."""
    if isinstance(node, (exp.Coalesce, exp.Greatest, exp.Least)):
        return [node.this, *node.expressions]
    if isinstance(node, exp.If):
        return [node.args["true"], node.args.get("false") or exp.Null()]
    if isinstance(node, exp.Case):
        return [*(one.args["true"] for one in node.args["ifs"]), node.args.get("default") or exp.Null()]
    return []


def _chosen(choices: Sequence[Any]) -> int | None:
    found = [decimals(one) for one in choices if not isinstance(one, exp.Null)]
    return max((one for one in found if one is not None), default=None) if None not in found else None


def _only_column(query: Any) -> Any:
    """Returns what a query selects, as far as it is one column."""
    select = query.unnest()
    columns = select.expressions if isinstance(select, exp.Select) else []
    return columns[0].unalias() if len(columns) == 1 else None


def source_of(column: Any) -> Any:
    """Returns the expression that a column of a derived table stands for; None for a table's own."""
    select = column.find_ancestor(exp.Select, exp.Update)
    for source in _sources(select) if select is not None else ():
        inner = source.this if isinstance(source, exp.Subquery) else None
        if not isinstance(inner, exp.Select) or (column.table and column.table.lower() != source.alias.lower()):
            continue
        for one in inner.expressions:
            if one.alias_or_name.lower() == column.name.lower():
                return one.unalias()
    return None


def _sources(select: Any) -> Iterator[Any]:
    first = select.this if isinstance(select, exp.Update) else (select.args.get("from_") or exp.From()).this
    joins = [*(select.args.get("joins") or ()), *((first.args.get("joins") or ()) if first is not None else ())]
    yield from (one for one in (first, *(join.this for join in joins)) if one is not None)


def scale(cast: Any) -> int:
    """Returns how many digits behind the point a DECIMAL has."""
    parameters = cast.to.expressions
    return int(parameters[1].name) if len(parameters) > 1 else 0


def _calculated(node: Any, one: Any, other: Any, kept: bool) -> int | None:
    left, right = decimals(one, kept), decimals(other, kept)
    if left is None or right is None:
        return None
    if isinstance(node, exp.Div):
        return _quotient(max(left, 0), max(right, 0), kept)
    if isinstance(node, exp.Mul) and max(left, right) >= 0:
        return max(left, 0) + max(right, 0)
    return max(left, right)


def _quotient(left: int, right: int, kept: bool) -> int:
    return -(-(left + right + _MORE) // _GROUP) * _GROUP if kept else left + _MORE


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


def _moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return value
