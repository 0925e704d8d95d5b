"""What MySQL refuses before it looks at a table: words of its own as names, and slips that other parsers let pass."""

from __future__ import annotations

from typing import Any

from sqlglot import exp, tokenize
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

# Reserved in MySQL and in MariaDB. A name that is one of them stands in backticks, or behind a point.
RESERVED = frozenset(
    [
        "ACCESSIBLE",
        "ADD",
        "ALL",
        "ALTER",
        "ANALYZE",
        "AND",
        "AS",
        "ASC",
        "ASENSITIVE",
        "BEFORE",
        "BETWEEN",
        "BIGINT",
        "BINARY",
        "BLOB",
        "BOTH",
        "BY",
        "CALL",
        "CASCADE",
        "CASE",
        "CHANGE",
        "CHAR",
        "CHARACTER",
        "CHECK",
        "COLLATE",
        "COLUMN",
        "CONDITION",
        "CONSTRAINT",
        "CONTINUE",
        "CONVERT",
        "CREATE",
        "CROSS",
        "CURSOR",
        "DATABASE",
        "DATABASES",
        "DEC",
        "DECIMAL",
        "DECLARE",
        "DEFAULT",
        "DELAYED",
        "DELETE",
        "DESC",
        "DESCRIBE",
        "DETERMINISTIC",
        "DISTINCT",
        "DISTINCTROW",
        "DIV",
        "DOUBLE",
        "DROP",
        "DUAL",
        "EACH",
        "ELSE",
        "ELSEIF",
        "ENCLOSED",
        "ESCAPED",
        "EXCEPT",
        "EXISTS",
        "EXIT",
        "EXPLAIN",
        "FALSE",
        "FETCH",
        "FLOAT",
        "FOR",
        "FORCE",
        "FOREIGN",
        "FROM",
        "FULLTEXT",
        "GRANT",
        "GROUP",
        "HAVING",
        "IF",
        "IGNORE",
        "IN",
        "INDEX",
        "INFILE",
        "INNER",
        "INOUT",
        "INSENSITIVE",
        "INSERT",
        "INT",
        "INTEGER",
        "INTERVAL",
        "INTO",
        "IS",
        "ITERATE",
        "JOIN",
        "KEY",
        "KEYS",
        "KILL",
        "LEADING",
        "LEAVE",
        "LEFT",
        "LIKE",
        "LIMIT",
        "LINEAR",
        "LINES",
        "LOAD",
        "LOCK",
        "LONG",
        "LONGBLOB",
        "LONGTEXT",
        "LOOP",
        "LOW_PRIORITY",
        "MATCH",
        "MAXVALUE",
        "MEDIUMBLOB",
        "MEDIUMINT",
        "MEDIUMTEXT",
        "MIDDLEINT",
        "MOD",
        "MODIFIES",
        "NATURAL",
        "NOT",
        "NULL",
        "NUMERIC",
        "ON",
        "OPTIMIZE",
        "OPTION",
        "OPTIONALLY",
        "OR",
        "ORDER",
        "OUT",
        "OUTER",
        "OUTFILE",
        "OVER",
        "PARTITION",
        "PRECISION",
        "PRIMARY",
        "PROCEDURE",
        "PURGE",
        "RANGE",
        "READ",
        "READS",
        "REAL",
        "REFERENCES",
        "REGEXP",
        "RELEASE",
        "RENAME",
        "REPEAT",
        "REPLACE",
        "REQUIRE",
        "RESIGNAL",
        "RESTRICT",
        "RETURN",
        "REVOKE",
        "RIGHT",
        "RLIKE",
        "SCHEMA",
        "SCHEMAS",
        "SELECT",
        "SENSITIVE",
        "SEPARATOR",
        "SET",
        "SHOW",
        "SIGNAL",
        "SMALLINT",
        "SPATIAL",
        "SPECIFIC",
        "SQL",
        "SQLEXCEPTION",
        "SQLSTATE",
        "SQLWARNING",
        "SSL",
        "STARTING",
        "STRAIGHT_JOIN",
        "TABLE",
        "TERMINATED",
        "THEN",
        "TINYBLOB",
        "TINYINT",
        "TINYTEXT",
        "TO",
        "TRAILING",
        "TRIGGER",
        "TRUE",
        "UNDO",
        "UNION",
        "UNIQUE",
        "UNLOCK",
        "UNSIGNED",
        "UPDATE",
        "USAGE",
        "USE",
        "USING",
        "VALUES",
        "VARBINARY",
        "VARCHAR",
        "VARYING",
        "WHEN",
        "WHERE",
        "WHILE",
        "WITH",
        "WRITE",
        "XOR",
        "ZEROFILL",
    ]
)
_AFTER_A_COMMA = frozenset(("WHERE", "FROM", "VALUES", "ORDER", "GROUP", "LIMIT", "HAVING", ")", ";", ","))


def first_fault(sql: str) -> str | None:
    """Returns the rest of a statement from where MySQL stops understanding it; None where it does not.

    Found are slips that sqlglot forgives: a comma before the end of a list, and ``==``.
    """
    try:
        tokens = tokenize(sql, read="mysql")
    except TokenError:
        return sql
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        if token.token_type == TokenType.EQ and token.text == "==":
            return sql[token.start + 1 :]
        if token.token_type == TokenType.COMMA and (after is None or _ends_a_list(after)):
            return sql[after.start :] if after else ""
    return None


def _ends_a_list(token: Any) -> bool:
    named = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
    return not named and token.text.upper() in _AFTER_A_COMMA


def reserved_name(tree: Any) -> str | None:
    """Returns a word of MySQL's own that stands as a column's, table's or other name; None where there is none."""
    for name in tree.find_all(exp.Identifier):
        qualified = isinstance(name.parent, exp.Column) and name.arg_key == "this" and name.parent.args.get("table")
        dual = isinstance(name.parent, exp.Table) and name.name.upper() == "DUAL"
        if not name.args.get("quoted") and name.name.upper() in RESERVED and not qualified and not dual:
            return str(name.name)
    return None
