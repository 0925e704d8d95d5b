"""Expressions of MySQL as SQLite computes them alike: functions by other names, and text beside numbers as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import COLLATION

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_NUMERIC = (
    *(*_ARITHMETIC, exp.IntDiv, exp.Neg, exp.Sum, exp.Avg, exp.Count, exp.Length, exp.Round, exp.Abs, exp.Ceil),
    *(exp.Floor, exp.Trunc, exp.StrPosition, exp.DateDiff, exp.Year, exp.Month, exp.Day, exp.Extract, exp.Boolean),
)
_NUMBERS = frozenset(
    [
        "MYSQL_SIGNED",
        "MYSQL_DECIMAL",
        "MYSQL_BYTES",
        "MYSQL_INSTR",
        "TRUNCATE",
        "MYSQL_YEAR",
        "MYSQL_MONTH",
        "MYSQL_DAY",
        "MYSQL_HOUR",
        "MYSQL_MINUTE",
        "MYSQL_SECOND",
        "MYSQL_DATEDIFF",
        "FIELD",
        "FIND_IN_SET",
    ]
)
_PARTS = {
    exp.Year: "YEAR",
    exp.Month: "MONTH",
    exp.Day: "DAY",
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Second: "SECOND",
    exp.DayOfMonth: "DAY",
}
_UNWRAPPED = (exp.TsOrDsToDate, exp.TsOrDsToTimestamp, exp.TsOrDsToTime)
_TEXTS = (exp.DataType.Type.CHAR, exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT, exp.DataType.Type.CHARACTER_SET)


def rewritten(node: Any) -> Any:
    """Returns a tree with SQLite's words for what MySQL does, rewritten from its leaves on."""
    for child in list(node.iter_expressions()):
        new = rewritten(child)
        if new is not child:
            child.replace(new)
    for kind, change in _CHANGES:
        if isinstance(node, kind):
            return change(node)
    return node


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
    return isinstance(node, _NUMERIC)


def called(name: str, *arguments: Any) -> exp.Anonymous:
    """Returns the call of a function."""
    return exp.Anonymous(this=name, expressions=[one for one in arguments if one is not None])


def digits(number: str) -> str:
    """Returns a number as MySQL keeps it: whole ones without leading zeros, decimals with all their digits."""
    if "e" in number.lower():
        value = float(number)
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if exponent else mantissa
    whole, point, part = number.partition(".")
    return f"{int(whole or 0)}{point}{part}" if part else str(int(whole or 0))


def _comparison(node: Any) -> Any:
    assigns = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
    if assigns:
        return node
    if isinstance(node.right, exp.Any) and isinstance(node, exp.EQ):
        inner = node.right.this
        return exp.In(this=node.left, query=inner if isinstance(inner, exp.Subquery) else exp.Subquery(this=inner))
    if is_number(node.left) != is_number(node.right):
        node.set("this", _number(node.left))
        node.set("expression", _number(node.right))
    elif _is_text(node.left) and _is_text(node.right):
        node.set("this", _collated(node.left))
    return node


def _range(node: Any) -> Any:
    others = node.expressions if isinstance(node, exp.In) else [node.args["low"]]
    if not is_number(node.this) and others and all(map(is_number, others)):
        node.set("this", _number(node.this))
    elif _is_text(node.this):
        node.set("this", _collated(node.this))
    return node


def _ordered(node: Any) -> Any:
    if isinstance(node.this, (exp.Func, exp.Case)) and _is_text(node.this):
        node.set("this", _collated(node.this))
    return node


def _is_text(node: Any) -> bool:
    """Whether an expression may be a text without a collation, which a column has."""
    plain = isinstance(node, (exp.Column, exp.Collate, exp.Null, exp.Tuple, exp.Subquery, exp.Any, exp.All))
    return not plain and not is_number(node)


def _collated(node: Any) -> Any:
    return exp.Collate(this=exp.Paren(this=node), expression=exp.Var(this=COLLATION))


def _collation(node: Any) -> Any:
    name = node.expression.name.lower()
    node.set("expression", exp.Var(this="BINARY" if name.endswith("bin") or name == "binary" else COLLATION))
    return node


def _arithmetic(node: Any) -> Any:
    """With text, it is done in doubles; with an interval, it is one of dates."""
    for value, interval in ((node.left, node.right), (node.right, node.left)):
        if isinstance(interval, exp.Interval) and isinstance(node, exp.Add | exp.Sub):
            kind = exp.DateSub if isinstance(node, exp.Sub) else exp.DateAdd
            return _moved(kind(this=value, expression=interval))
    node.set("this", _number(node.left))
    node.set("expression", _number(node.right))
    return node


def _number(node: Any) -> Any:
    if is_number(node) or isinstance(node, (exp.Subquery, exp.Null, exp.Tuple)):
        return node
    return exp.Cast(this=node, to=exp.DataType.build("DOUBLE"))


def _count(node: Any) -> Any:
    if isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
        node.this.set("expressions", [called("CONCAT_KEY", *node.this.expressions)])
    return node


def _joined(node: Any) -> Any:
    """Returns GROUP_CONCAT as a function of value, sort key, direction and separator."""
    order = node.this if isinstance(node.this, exp.Order) else None
    value = order.this if order else node.this
    first = order.expressions[0] if order else None
    down = exp.Literal.number(int(bool(first and first.args.get("desc"))))
    separator = node.args.get("separator") or exp.Literal.string(",")
    unique = isinstance(value, exp.Distinct)
    if unique:
        value = value.expressions[0] if len(value.expressions) == 1 else _concat(value.expressions)
    parts = [value.copy(), first.this.copy() if first else exp.Null(), down, separator.copy()]
    return called("JOIN_DISTINCT" if unique else "JOIN_ALL", *parts)


def _concat(parts: Sequence[exp.Expression]) -> Any:
    return called("CONCAT", *map(_shown, parts))


def _shown(node: Any) -> Any:
    """Returns a number that stands in the statement as its text, digits behind the point included."""
    plain = isinstance(node, exp.Literal) and not node.is_string
    return exp.Literal.string(digits(str(node.this))) if plain else node


def _cast(node: Any) -> Any:
    kind = node.to
    if kind.is_type(exp.DataType.Type.BINARY, exp.DataType.Type.VARBINARY):
        return exp.Collate(this=node.this, expression=exp.Var(this="BINARY"))
    if kind.is_type(exp.DataType.Type.DECIMAL):
        return called("MYSQL_DECIMAL", node.this, exp.Literal.number(scale(node)))
    if kind.is_type(exp.DataType.Type.BIGINT, exp.DataType.Type.UBIGINT):
        return called("MYSQL_SIGNED", node.this)
    if kind.is_type(exp.DataType.Type.DATE):
        return called("MYSQL_DATE", node.this)
    return called("MYSQL_TEXT", node.this) if kind.this in _TEXTS else node


def scale(cast: Any) -> int:
    """Returns how many digits behind the point a DECIMAL has."""
    parameters = cast.to.expressions
    return int(parameters[1].name) if len(parameters) > 1 else 0


def _like(node: Any) -> Any:
    sides = (node.this, node.expression)
    if not any(isinstance(one, exp.Collate) and one.expression.name == "BINARY" for one in sides):
        return node
    value, pattern = (one.this if isinstance(one, exp.Collate) else one for one in sides)
    return called("LIKE_BINARY", pattern, value)


def _bare(node: Any) -> Any:
    """Returns a value without what sqlglot puts around it, since MySQL's dates are texts here."""
    while isinstance(node, _UNWRAPPED) or (isinstance(node, exp.Anonymous) and node.this == "MYSQL_DATE"):
        node = node.this if isinstance(node, _UNWRAPPED) else node.expressions[0]
    return node


def _moved(node: Any) -> Any:
    unit, count = node.args.get("unit"), node.expression
    if isinstance(count, exp.Interval):
        unit, count = count.args.get("unit"), count.this
    if isinstance(node, exp.DateSub):
        count = exp.Neg(this=exp.Paren(this=_number(count.copy())))
    name = exp.Literal.string(str(unit.name if unit else "DAY").upper())
    return called("MYSQL_DATE_ADD", _bare(node.this), count, name)


def _bytes(node: Any) -> Any:
    return exp.Literal.string(_decoded(node.name, 16 if isinstance(node, exp.HexString) else 2))


def _decoded(shown: str, base: int) -> str:
    value = int(shown or "0", base)
    return value.to_bytes((value.bit_length() + 7) // 8, "big").decode("utf-8", "replace")


def _xor(node: Any) -> Any:
    sides = [exp.Paren(this=exp.Not(this=exp.Paren(this=one))) for one in (node.this, node.expression)]
    return exp.Paren(this=exp.NEQ(this=sides[0], expression=sides[1]))


_CHANGES: list[tuple[Any, Callable[[Any], Any]]] = [
    (_COMPARED, _comparison),
    ((exp.Between, exp.In), _range),
    (_ARITHMETIC, _arithmetic),
    (exp.Count, _count),
    (exp.GroupConcat, _joined),
    (exp.ConcatWs, lambda n: called("CONCAT_WS", *map(_shown, n.expressions))),
    (exp.Concat, lambda n: _concat(n.expressions)),
    ((exp.Left, exp.Right), lambda n: called(f"MYSQL_{n.key}", n.this, n.expression)),  # words of SQLite's grammar
    (exp.Ordered, _ordered),
    (exp.Collate, _collation),
    (exp.Like, _like),
    (exp.Cast, _cast),
    ((exp.HexString, exp.BitString), _bytes),
    (exp.Xor, _xor),
    (exp.Length, lambda n: called("MYSQL_BYTES", n.this) if n.args.get("binary") else n),
    (exp.StrPosition, lambda n: called("MYSQL_INSTR", n.this, n.args["substr"], n.args.get("position"))),
    (exp.NumberToStr, lambda n: called("MYSQL_FORMAT", _shown(n.this), n.args["format"])),
    (exp.Trunc, lambda n: called("TRUNCATE", n.this, n.args.get("decimals") or exp.Literal.number(0))),
    (exp.Stuff, lambda n: called("MYSQL_STUFF", n.this, n.args["start"], n.args["length"], n.expression)),
    (exp.StrToDate, lambda n: called("MYSQL_READ_DATE", n.this, n.args["format"])),
    (exp.TimeToStr, lambda n: called("MYSQL_SHOW_DATE", _bare(n.this), n.args["format"])),
    (tuple(_PARTS), lambda n: called(f"MYSQL_{_PARTS[type(n)]}", _bare(n.this))),
    (exp.DayOfWeek, lambda n: called("DAYOFWEEK", _bare(n.this))),
    (exp.DayOfYear, lambda n: called("DAYOFYEAR", _bare(n.this))),
    (exp.Quarter, lambda n: called("QUARTER", _bare(n.this))),
    (exp.Dayname, lambda n: called("DAYNAME", _bare(n.this))),
    (exp.Extract, lambda n: called(f"MYSQL_{n.name.upper()}", _bare(n.expression))),
    (exp.DateDiff, lambda n: called("MYSQL_DATEDIFF", _bare(n.this), _bare(n.expression))),
    ((exp.DateAdd, exp.DateSub), _moved),
    (_UNWRAPPED, lambda n: called("MYSQL_DATE", _bare(n))),
]
