"""MySQL's SQL as SQLite understands it, for tables whose columns are all TEXT.

sqlglot parses and writes the statement. What is changed here is what the two databases do differently with the same
words: text beside numbers is compared as a number, numbers that are stored in a text column keep their digits, and
UPDATE and DELETE take ORDER BY and LIMIT.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from sqlglot import exp, parse
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ParseError, TokenError

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that are refused here anyway


class SqlFault(Exception):
    """A statement that MySQL would refuse; the text is MySQL's."""

    def __init__(self, code: int, state: str, text: str) -> None:
        super().__init__(f"{code} ({state}): {text}")


DENIED = SqlFault(1227, "42000", "Access denied; you need (at least one of) the SUPER privilege(s) for this operation")


class _Embedded(SQLite):
    """SQLite with names in backticks: between double quotes it would take an unknown column for text."""

    class Tokenizer(SQLite.Tokenizer):
        IDENTIFIERS: ClassVar = ["`"]


_REPLACE = re.compile(r"^\s*REPLACE\s+(INTO\s+)?(?!\()", re.IGNORECASE)
SCHEMA = "information_schema"
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
_NUMERIC = (*_ARITHMETIC, exp.IntDiv, exp.Neg, exp.Sum, exp.Avg, exp.Count, exp.Length)
_ALLOWED = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop, exp.Alter, exp.Values)


def translated(sql: str, database: str) -> str:
    """Returns one statement of MySQL as one of SQLite.

    Args:
        sql: the statement; a semicolon may end it.
        database: the database's name, which may stand before a table's.

    Raises:
        SqlFault: MySQL would refuse it, or it is no statement on tables.
    """
    tree = parsed(sql)
    if not isinstance(tree, _ALLOWED):
        raise SqlFault(
            1227, "42000", "Access denied; you need (at least one of) the SUPER privilege(s) for this operation"
        )
    for table in tree.find_all(exp.Table):
        if table.db.lower() == SCHEMA:
            continue
        if table.db and table.db.lower() != database.lower():
            raise SqlFault(1142, "42000", f"command denied to user for table '{table.name}'")
        table.set("db", None)
    for column in tree.find_all(exp.Column):
        column.set("db", None)
    for node in list(tree.find_all(exp.CurrentSchema)):
        node.replace(exp.Literal.string(database))
    tree = tree.transform(_changed)
    if isinstance(tree, (exp.Insert, exp.Update)):
        _keep_digits(tree)
    if isinstance(tree, (exp.Update, exp.Delete)):
        _limit_rows(tree)
    return str(tree.sql(dialect=_Embedded, identify=True))  # SQLite has words of its own that MySQL lets be names


def parsed(sql: str) -> Any:
    """Returns the statement's tree.

    Raises:
        SqlFault: it is not one statement of MySQL.
    """
    if not sql.strip().strip(";").strip():
        raise SqlFault(1065, "42000", "Query was empty")
    sql = _REPLACE.sub("INSERT INTO ", sql)  # without unique keys it is the same
    try:
        trees = [tree for tree in parse(sql, read="mysql") if tree is not None]
    except ParseError as error:
        found: dict[str, Any] = error.errors[0] if error.errors else {}
        raise syntax(f"{found.get('highlight') or ''}{found.get('end_context') or ''}") from error
    except (TokenError, RecursionError) as error:
        raise syntax(sql) from error
    if len(trees) != 1:
        raise syntax(trees[1].sql(dialect="mysql")) if len(trees) > 1 else SqlFault(1065, "42000", "Query was empty")
    return trees[0]


def syntax(near: str) -> SqlFault:
    """Returns MySQL's error for what it cannot parse from here on."""
    return SqlFault(
        1064,
        "42000",
        "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the "
        f"right syntax to use near '{near[:80]}' at line 1",
    )


def _changed(node: exp.Expression) -> exp.Expression:
    """Returns a node with SQLite's words for what MySQL does."""
    if isinstance(node, _COMPARED) and not _assigns(node) and _is_number(node.left) != _is_number(node.right):
        node.set("this", _number(node.left))
        node.set("expression", _number(node.right))
    elif isinstance(node, exp.Between | exp.In) and not _is_number(node.this) and _beside_numbers(node):
        node.set("this", _number(node.this))
    elif isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
        parts = [exp.Anonymous(this="CONCAT_KEY", expressions=list(node.this.expressions))]
        node.this.set("expressions", parts)
    elif isinstance(node, exp.GroupConcat):
        return _joined(node)
    elif isinstance(node, exp.Left | exp.Right):  # words of SQLite's grammar
        return exp.Anonymous(this=f"MYSQL_{node.key}", expressions=[node.this, node.expression])
    elif isinstance(node, _ARITHMETIC):  # with text, it is done in doubles
        node.set("this", _number(node.left))
        node.set("expression", _number(node.right))
    return node


def _beside_numbers(node: exp.Expression) -> bool:
    others = node.expressions if isinstance(node, exp.In) else [node.args["low"]]
    return bool(others) and all(map(_is_number, others))


def _assigns(node: exp.Expression) -> bool:
    """Whether an equation is one of UPDATE's assignments."""
    return isinstance(node.parent, exp.Update) and node.arg_key == "expressions"


def _joined(node: exp.GroupConcat) -> exp.Expression:
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
    return exp.Anonymous(this="JOIN_DISTINCT" if unique else "JOIN_ALL", expressions=parts)


def _concat(parts: Sequence[exp.Expression]) -> exp.Expression:
    return exp.Anonymous(this="CONCAT", expressions=list(parts))


def _is_number(node: Any) -> bool:
    if isinstance(node, exp.Paren):
        return _is_number(node.this)
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Cast):
        return bool(node.to.is_type(*exp.DataType.NUMERIC_TYPES))
    return isinstance(node, _NUMERIC)


def _number(node: Any) -> Any:
    if _is_number(node) or isinstance(node, (exp.Subquery, exp.Null)):
        return node
    return exp.Cast(this=node, to=exp.DataType.build("DOUBLE"))


def _keep_digits(tree: exp.Expression) -> None:
    """Writes numbers that go into a column as MySQL's text of them: 7.40 stays 7.40."""
    if isinstance(tree, exp.Update):
        for assignment in tree.expressions:
            if isinstance(assignment, exp.EQ):
                assignment.set("expression", _as_text(assignment.expression))
        return
    for row in tree.find_all(exp.Tuple):
        row.set("expressions", [_as_text(cell) for cell in row.expressions])


def _as_text(node: exp.Expression) -> exp.Expression:
    sign = "-" if isinstance(node, exp.Neg) else ""
    value = node.this if sign else node
    if isinstance(value, exp.Literal) and not value.is_string:
        return exp.Literal.string(sign + _digits(str(value.this)))
    return exp.Anonymous(this="MYSQL_TEXT", expressions=[node]) if _is_number(node) else node


def _digits(number: str) -> str:
    """Returns a number as MySQL keeps it: whole ones without leading zeros, decimals with all their digits."""
    if "e" in number.lower():
        value = float(number)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    whole, point, part = number.partition(".")
    return f"{int(whole or 0)}{point}{part}" if part else str(int(whole or 0))


def _limit_rows(tree: exp.Expression) -> None:
    """Says which rows by their number, since SQLite's UPDATE and DELETE have no ORDER BY and LIMIT."""
    order, limit = tree.args.get("order"), tree.args.get("limit")
    if order is None and limit is None:
        return
    rows = exp.select("rowid").from_(tree.this.copy())
    for name, part in (("where", tree.args.get("where")), ("order", order), ("limit", limit)):
        if part is not None:
            rows.set(name, part.copy())
    for name in ("order", "limit"):
        tree.set(name, None)
    tree.set("where", exp.Where(this=exp.In(this=exp.column("rowid"), query=exp.Subquery(this=rows))))
