"""Expressions of MySQL as SQLite computes them alike: functions by other names, and text beside numbers as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.kinds import ARITHMETIC, decimals, is_number, scale
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import COLLATION

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)
_MATH = (exp.Pow, exp.Sqrt, exp.Exp, exp.Ln, exp.Log, exp.Sign, exp.Abs, exp.Floor, exp.Ceil)
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
VERSION = "8.0.0"  # what an agent is told that it works with
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
    return called("MYSQL_MOD", node.left, node.right) if isinstance(node, exp.Mod) else node


def _numeric(node: Any) -> Any:
    """A function of numbers, which SQLite does not read from texts."""
    if isinstance(node, exp.Log) and node.name == "10" and node.args.get("expression") is not None:
        return called("LOG10", node.expression)
    node.set("this", _number(node.this))
    if isinstance(node, (exp.Pow, exp.Log)) and node.args.get("expression") is not None:
        node.set("expression", _number(node.expression))
    return node


def _negative(node: Any) -> Any:
    plain = isinstance(node.this, exp.Literal)
    return node if plain or is_number(node.this) else exp.Sub(this=exp.Literal.number(0), expression=_number(node.this))


def _rounded(node: Any) -> Any:
    """Decimals are rounded half up, doubles to even."""
    exact = exp.Literal.number(int(decimals(node.this) is not None))
    return called("MYSQL_ROUND", node.this, node.args.get("decimals") or exp.Literal.number(0), exact)


def _extreme(node: Any) -> Any:
    """GREATEST and LEAST: of numbers and texts the numbers, of texts as texts are compared."""
    values = [node.this, *node.expressions]
    if all(map(is_number, values)):
        return node
    if any(map(is_number, values)):
        node.set("this", _number(values[0]))
        node.set("expressions", [_number(one) for one in values[1:]])
        return node
    return called("MYSQL_GREATEST" if isinstance(node, exp.Greatest) else "MYSQL_LEAST", *values)


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
    if isinstance(node, exp.Literal) and not node.is_string:
        return exp.Literal.string(digits(str(node.this)))
    places = decimals(node)
    if isinstance(node, exp.Anonymous) and node.this == "MYSQL_ROUND" and isinstance(node.expressions[1], exp.Literal):
        places = int(node.expressions[1].name)  # a double that was rounded is written with as many digits
    return node if places is None or places < 0 else called("MYSQL_FIXED", node, exp.Literal.number(places))


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
    if kind.is_type(exp.DataType.Type.DATETIME, exp.DataType.Type.TIMESTAMP):
        return called("MYSQL_DATETIME", node.this)
    return called("MYSQL_TEXT", _shown(node.this)) if kind.this in _TEXTS else node


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


def _added_days(node: Any) -> Any:
    """ADDDATE and SUBDATE with a number of days."""
    name = str(node.this).upper()
    if name not in ("ADDDATE", "SUBDATE") or len(node.expressions) != 2:
        return node
    count = node.expressions[1] if name == "ADDDATE" else exp.Neg(this=exp.Paren(this=_number(node.expressions[1])))
    return called("MYSQL_DATE_ADD", _bare(node.expressions[0]), count, exp.Literal.string("DAY"))


def _week_mode(node: Any) -> Any:
    return exp.Literal.number(3) if isinstance(node, exp.WeekOfYear) else node.args.get("mode") or exp.Literal.number(0)


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
    (ARITHMETIC, _arithmetic),
    (exp.Neg, _negative),
    (exp.Round, _rounded),
    ((exp.Greatest, exp.Least), _extreme),
    (_MATH, _numeric),
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
    (exp.TimestampDiff, lambda n: called("MYSQL_SPAN", n.expression, n.this, exp.Literal.string(n.unit.name.upper()))),
    ((exp.Week, exp.WeekOfYear), lambda n: called("WEEK", _bare(n.this), _week_mode(n))),
    (exp.Anonymous, _added_days),
    (exp.LastDay, lambda n: called("LAST_DAY", _bare(n.this))),
    ((exp.StddevPop, exp.Stddev), lambda n: called("MYSQL_STDDEV", n.this)),
    (exp.VariancePop, lambda n: called("MYSQL_VARIANCE", n.this)),
    (exp.SHA, lambda n: called("SHA1", n.this)),
    (exp.SHA2, lambda n: called("SHA2", n.this, n.args.get("length") or exp.Literal.number(256))),
    (exp.CurrentVersion, lambda n: exp.Literal.string(VERSION)),
    (_UNWRAPPED, lambda n: called("MYSQL_DATE", _bare(n))),
]
