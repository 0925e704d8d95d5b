"""A task's database in SQLite, in memory, that answers as MySQL does.

A statement can reach nothing but its own tables: no file, no setting, no other database. It ends after a number of
steps that does not depend on the machine, and a database does not grow beyond its limit.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect import functions as mysql_functions
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.kinds import printed_row, printers
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import COLLATION, text
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.translation import (
    SCHEMA,
    SqlFault,
    parsed,
    syntax,
    translated,
)
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import (
    cut,
    first_rows,
    printed,
    quoted,
    used_database,
)
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import table_hash
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import UNFORESEEN, EnvironmentFailed, storable

STEPS = 50_000_000  # of SQLite's virtual machine, for one statement
_EVERY = 10_000  # steps between two looks at the limit
_PAGES = 16_384  # of 4,096 bytes: 67 MB for a task's tables
_STATEMENT = 20_000  # characters of a statement; reading a much longer one takes minutes
_LONGEST = 8_000_000  # bytes of a text
_DENIED = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION)
_CHANGES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE)


class EmbeddedDatabase:
    """One task's database; see `environment.Database`.

    Args:
        task: its table.
    """

    def __init__(self, task: DbTask) -> None:
        self._task, self._steps = task, 0
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._work = mysql_functions.register(self._connection)
        try:
            self._fill()
            self._describe()
        except (sqlite3.Error, ValueError) as error:
            self._connection.close()
            raise EnvironmentFailed(f"the task's table cannot be made: {error}") from error
        self._connection.execute(f"PRAGMA max_page_count = {_PAGES}")
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        self._connection.set_authorizer(_allowed)
        self._connection.set_progress_handler(self._step, _EVERY)

    def execute(self, sql: str) -> str:
        """Executes one statement and returns its rows, or MySQL's error."""
        self._steps = 0
        self._work.renew()
        if len(sql) > _STATEMENT:
            return str(SqlFault(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes"))
        sql = storable(sql)
        try:
            return self._described(sql) or printed(self._rows(sql))
        except SqlFault as fault:
            return cut(str(fault))
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            return cut(str(self._fault(error, sql)))
        except (SqlglotError, *UNFORESEEN):
            return cut(str(syntax(sql)))  # sqlglot takes it for something that it is not

    def table_hash(self) -> str:
        """Returns the hash of the task's table."""
        self._steps = -1_000_000_000  # the agent's limits are not ours
        names = ",".join(map(quoted, self._task.columns))
        with suppress(sqlite3.Error), closing(self._connection.cursor()) as cursor:
            return table_hash(map(_texts, cursor.execute(f"SELECT {names} FROM {quoted(self._task.table)}")))
        return "the table, or one of its columns, is gone"

    def close(self) -> None:
        """Drops everything."""
        self._connection.close()

    def _fill(self) -> None:
        text = f"TEXT COLLATE {COLLATION}"
        numbers = self._task.numbers
        columns = ",".join(f"{quoted(name)} {'INTEGER' if name in numbers else text}" for name in self._task.columns)
        self._connection.execute(f"CREATE TABLE {quoted(self._task.table)} ({columns})")
        marks = ",".join("?" for _ in self._task.columns)
        insert = f"INSERT INTO {quoted(self._task.table)} VALUES ({marks})"
        self._connection.execute("BEGIN")
        self._connection.executemany(insert, [[_cell(value) for value in row] for row in self._task.rows])
        self._connection.execute("COMMIT")

    def _describe(self) -> None:
        """Fills information_schema with what an agent asks it for: the table and its columns."""
        self._connection.execute(f"ATTACH ':memory:' AS {SCHEMA}")
        names = "table_schema, table_name"
        self._connection.execute(f"CREATE TABLE {SCHEMA}.tables ({names}, table_type)")
        self._connection.execute(f"CREATE TABLE {SCHEMA}.columns ({names}, column_name, ordinal_position, data_type)")
        table = self._task.table
        self._connection.execute(f"INSERT INTO {SCHEMA}.tables VALUES (?, ?, 'BASE TABLE')", (table, table))
        columns = [(table, table, name, place, "text") for place, name in enumerate(self._task.columns, 1)]
        self._connection.executemany(f"INSERT INTO {SCHEMA}.columns VALUES (?, ?, ?, ?, ?)", columns)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        statement = translated(sql, self._task.table)
        kinds = printers(parsed(sql))
        with closing(self._connection.cursor()) as cursor:
            rows: Iterator[tuple[Any, ...]] = cursor.execute(statement)
            return [printed_row(row, kinds) for row in first_rows(rows)]

    def _described(self, sql: str) -> str:
        """Returns what MySQL says of its tables, for a statement that asks for it; empty for any other."""
        words = sql.strip().rstrip(";").strip()
        if re.fullmatch(r"(?is)start\s+transaction|begin|commit|rollback|(set(?!\s+global)|lock|unlock)\s.*", words):
            return printed([])  # each statement has a connection of its own, as on a server
        if (used := used_database(words)) is not None:
            if used.lower() == self._task.table.lower():
                return printed([])
            raise SqlFault(1044, "42000", f"Access denied for user to database '{used}'")
        if re.fullmatch(r"(?i)show\s+(full\s+)?tables(\s+.*)?", words):
            with closing(self._connection.cursor()) as cursor:
                return printed(first_rows(cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")))
        if re.fullmatch(r"(?i)show\s+(databases|schemas)", words):
            return printed([(self._task.table,)])
        asked = re.fullmatch(
            r"(?is)(?:desc|describe|explain|show\s+(?:full\s+)?(?:columns|fields)\s+(?:from|in))\s+(.+)", words
        )
        if asked is None or re.match(r"(?i)(select|update|insert|delete|with)\b", asked[1]):
            return ""
        name = asked[1].split("`")[1] if asked[1].startswith("`") and asked[1].count("`") >= 2 else asked[1].split()[0]
        with closing(self._connection.cursor()) as cursor:
            found = cursor.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
        if not found:
            raise SqlFault(1146, "42S02", f"Table '{self._task.table}.{name}' doesn't exist")
        one = re.fullmatch(rf"(?i)`?{re.escape(name)}`?\s+`?(.+?)`?", asked[1])  # DESC table column
        return printed([(c, "text", "YES", "", None, "") for (c,) in found if not one or c.lower() == one[1].lower()])

    def _step(self) -> int:
        self._steps += _EVERY
        return int(self._steps > STEPS or (self._steps > 0 and self._work.exhausted))

    def _fault(self, error: Exception, sql: str) -> SqlFault:
        """Returns MySQL's error for SQLite's."""
        text, table = str(error), self._task.table
        if match := re.search(r"no such table: (?:main\.)?(.+)", text):
            return SqlFault(1146, "42S02", f"Table '{table}.{match[1]}' doesn't exist")
        if match := re.search(r"no such column: (.+)|has no column named (.+)", text):
            name = match[1] or match[2]
            return SqlFault(1054, "42S22", f"Unknown column '{name}' in '{_clause(sql, name)}'")
        if match := re.search(r"ambiguous column name: (.+)", text):
            return SqlFault(1052, "23000", f"Column '{match[1]}' in field list is ambiguous")
        if match := re.search(r"no such function: (.+)", text):
            return SqlFault(1305, "42000", f"FUNCTION {table}.{match[1]} does not exist")
        if "values for" in text or "values were supplied" in text or "term does not match" in text:
            return SqlFault(1136, "21S01", "Column count doesn't match value count at row 1")
        if match := re.search(r"table (.+) already exists", text):
            return SqlFault(1050, "42S01", f"Table '{match[1].strip('`')}' already exists")
        if match := re.search(r'near "(.+?)": syntax error', text):
            return syntax(sql[sql.find(match[1]) :])
        if match := re.search(r"not authorized to use function: (.+)", text):
            return SqlFault(1305, "42000", f"FUNCTION {table}.{match[1]} does not exist")
        if "interrupted" in text or (self._work.exhausted and "user-defined" in text):
            return SqlFault(3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded")
        if "full" in text:
            return SqlFault(1114, "HY000", f"The table '{table}' is full")
        if "misuse of aggregate" in text:
            return SqlFault(1111, "HY000", "Invalid use of group function")
        if "not authorized" in text or "prohibited" in text:
            return SqlFault(1227, "42000", "Access denied; you need the SUPER privilege for this operation")
        return SqlFault(1105, "HY000", text)


def _allowed(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    """Lets statements work on their own tables alone."""
    if action == sqlite3.SQLITE_PRAGMA and first == "table_info":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and not mysql_functions.is_known(second or ""):
        return sqlite3.SQLITE_DENY
    if database == SCHEMA and action in _CHANGES:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_DENY if action in _DENIED else sqlite3.SQLITE_OK


def _clause(sql: str, name: str) -> str:
    """Returns MySQL's word for where a column stands."""
    bare = name.rpartition(".")[2].strip('`"').lower()
    with suppress(SqlFault):
        for column in parsed(sql).find_all(exp.Column):
            if column.name.lower() == bare:
                if column.find_ancestor(exp.Where):
                    return "where clause"
                if column.find_ancestor(exp.Order):
                    return "order clause"
                if column.find_ancestor(exp.Group):
                    return "group statement"
                break
    return "field list"


def _cell(value: Any) -> str | None:
    """Returns a value as MySQL keeps it in a text column."""
    if value is None:
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)


def _texts(row: tuple[Any, ...]) -> list[str | None]:
    return [None if value is None else text(value) for value in row]
