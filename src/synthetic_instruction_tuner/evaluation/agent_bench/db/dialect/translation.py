"""MySQL's SQL as SQLite understands it, for tables whose columns are all TEXT.

sqlglot parses and writes the statement. What is changed is what the two databases do differently with the same words.
"""

from __future__ import annotations

import logging
import re
from typing import Any, ClassVar

from sqlglot import exp, parse
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ParseError, TokenError

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect import changes, queries
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.expressions import rewritten
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.syntax import first_fault, reserved_name

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
_MODIFIERS = re.compile(
    r"^(\s*(?:INSERT|REPLACE|UPDATE|DELETE)\b)(?:\s+(?:LOW_PRIORITY|HIGH_PRIORITY|DELAYED|QUICK|IGNORE)\b)+",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"^(\s*INSERT\s+INTO\s+(`[^`]+`|[\w$]+)\s*)\(\s*\)\s*VALUES\s*\(\s*\)", re.IGNORECASE)
_RENAMES = re.compile(
    r"^(\s*ALTER\s+TABLE\s+(?:`[^`]+`|[\w$]+)\s+)CHANGE\s+(?:COLUMN\s+)?(`[^`]+`|[\w$]+)\s+(`[^`]+`|[\w$]+)\s.*$",
    re.IGNORECASE | re.DOTALL,
)
_MOVES = re.compile(r"\b(ADD|SUB)DATE\s*\((?=[^()]*,\s*INTERVAL\b)", re.IGNORECASE)
_ASSIGNS = re.compile(r"^(\s*UPDATE\b.*?\bSET\s+\S+\s*):=", re.IGNORECASE | re.DOTALL)
_SQLITE_OWN = re.compile(r"(sqlite|pragma|json|fts|dbstat|bytecode|tables_used)(_|$)|json", re.IGNORECASE)
SCHEMA = "information_schema"
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
    if isinstance(tree, exp.TruncateTable) and len(tree.expressions) == 1:
        tree = exp.Delete(this=tree.expressions[0])
    if not isinstance(tree, _ALLOWED):
        raise DENIED
    for table in tree.find_all(exp.Table):
        if _SQLITE_OWN.match(table.name) or not isinstance(table.this, exp.Identifier):
            raise SqlFault(1146, "42S02", f"Table '{database}.{table.name}' doesn't exist")
        if table.db.lower() == SCHEMA:
            continue
        if table.db and table.db.lower() != database.lower():
            raise SqlFault(1142, "42000", f"command denied to user for table '{table.name}'")
        table.set("db", None)
        if table.name != database and table.name.lower() == database.lower() and isinstance(table.this, exp.Identifier):
            raise SqlFault(1146, "42S02", f"Table '{database}.{table.name}' doesn't exist")  # as on Linux: case counts
    if queries.nameless(tree):
        raise SqlFault(1248, "42000", "Every derived table must have its own alias")
    queries.prepare(tree)
    for call in tree.find_all(exp.Anonymous):
        if str(call.this).lower() == "printf":  # SQLite's ALTER TABLE uses it
            raise SqlFault(1305, "42000", f"FUNCTION {database}.{call.this} does not exist")
    for column in tree.find_all(exp.Column):
        column.set("db", None)
    for node in list(tree.find_all(exp.CurrentSchema)):
        node.replace(exp.Literal.string(database))
    _prepare(tree)
    tree = rewritten(tree)
    if isinstance(tree, (exp.Update, exp.Delete)):
        changes.limit_rows(tree)
    return str(tree.sql(dialect=_Embedded, identify=True))  # SQLite has words of its own that MySQL lets be names


def _prepare(tree: Any) -> None:
    """Rewrites what changes a table, before its expressions are."""
    if isinstance(tree, exp.Insert):
        _check_columns(tree)
        changes.insert(tree)
    elif isinstance(tree, exp.Update):
        changes.update(tree)
        changes.joined_update(tree)
    elif isinstance(tree, exp.Delete):
        changes.delete(tree)


def _check_columns(tree: exp.Insert) -> None:
    names = [one.name.lower() for one in tree.this.expressions] if isinstance(tree.this, exp.Schema) else []
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice:
        raise SqlFault(1110, "42000", f"Column '{twice}' specified twice")


def parsed(sql: str) -> Any:
    """Returns the statement's tree.

    Raises:
        SqlFault: it is not one statement of MySQL.
    """
    if not sql.strip().strip(";").strip():
        raise SqlFault(1065, "42000", "Query was empty")
    if (rest := first_fault(sql)) is not None:
        raise syntax(rest)
    sql = _REPLACE.sub("INSERT INTO ", _MODIFIERS.sub(r"\1", sql))  # without unique keys it is the same
    sql = _ASSIGNS.sub(r"\1=", sql)
    sql = _MOVES.sub(lambda found: f"DATE_{found[1]}(", _RENAMES.sub(r"\1RENAME COLUMN \2 TO \3", sql))
    sql = _NOTHING.sub(r"\1DEFAULT VALUES", sql)
    try:
        trees = [tree for tree in parse(sql, read="mysql") if tree is not None]
    except ParseError as error:
        found: dict[str, Any] = error.errors[0] if error.errors else {}
        raise syntax(f"{found.get('highlight') or ''}{found.get('end_context') or ''}") from error
    except (TokenError, RecursionError) as error:
        raise syntax(sql) from error
    if len(trees) != 1:
        raise syntax(trees[1].sql(dialect="mysql")) if len(trees) > 1 else SqlFault(1065, "42000", "Query was empty")
    if (name := reserved_name(trees[0])) is not None and not _is_default(trees[0], name):
        raise syntax(sql[max(0, sql.upper().find(name.upper())) :])
    return trees[0]


def _is_default(tree: Any, name: str) -> bool:
    """Whether a word is UPDATE's DEFAULT, which sqlglot takes for a column."""
    return isinstance(tree, exp.Update) and name.upper() == "DEFAULT"


def syntax(near: str) -> SqlFault:
    """Returns MySQL's error for what it cannot parse from here on."""
    return SqlFault(
        1064,
        "42000",
        "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the "
        f"right syntax to use near '{near[:80]}' at line 1",
    )
