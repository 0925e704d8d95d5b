"""A task's database on a MySQL or MariaDB server: one database and one user for each task, with rights on nothing else.

The user's rights keep a statement within its task: no file, no other database, no right to give. Its time, its rows and
its connection are limited, and what still runs afterwards is ended from outside.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import closing, suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.translation import SqlFault
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import (
    cut,
    first_rows,
    printed,
    quoted,
    used_database,
)
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import table_hash
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed, storable

SECONDS = 5  # for one statement
_WAIT = 15  # seconds until a connection counts as lost
_HOSTS = ("%", "localhost")  # the second, since a server's nameless user would take its place at a socket
_LOST = {2003, 2006, 2013, 2055, 1040, 1053, 1129, 1130}  # the server is gone, full, or shutting down


class ServerAddress:
    """Where a server is and who administers it: `mysql://USER:PASSWORD@HOST:PORT`, or `...@/?unix_socket=PATH`.

    Args:
        text: the address.

    Raises:
        UserError: it is none, or the driver is not installed.
    """

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        if parts.scheme not in ("mysql", "mariadb") or not (parts.hostname or "unix_socket" in parts.query):
            raise UserError(
                "The database server's address cannot be read.",
                "it must look like mysql://USER:PASSWORD@HOST:PORT or mysql://USER@/?unix_socket=PATH",
                "Put it into an environment variable, and that variable's name into --mysql.",
            )
        try:
            import pymysql  # noqa: F401
        except ModuleNotFoundError as error:
            raise UserError(
                "The driver for MySQL is not installed.",
                "--mysql needs PyMySQL",
                'Run: pip install "synthetic-instruction-tuner[mysql]"',
            ) from error
        socket = parse_qs(parts.query).get("unix_socket", [None])[0]
        self._where: dict[str, Any] = {"unix_socket": socket} if socket else {}
        if parts.hostname:
            self._where |= {"host": parts.hostname, "port": parts.port or 3306}
        self._user = unquote(parts.username or "root")
        self._password = unquote(parts.password or "")

    @classmethod
    def given(cls, text: str) -> ServerAddress:
        """Returns an address from an option: itself, or the name of the environment variable that holds it.

        An address with a password belongs into a variable: command lines are kept and shown.
        """
        if "://" not in text:
            if not os.environ.get(text):
                raise UserError(
                    f"The environment variable {text} is not set.",
                    "--mysql names it, or is an address: mysql://HOST:PORT",
                    "Set it to mysql://USER:PASSWORD@HOST:PORT.",
                )
            text = os.environ[text]
        return cls(text)

    def connect(self, user: str | None = None, password: str | None = None, database: str | None = None) -> Any:
        """Returns a connection of the administrator, or of a user.

        Raises:
            EnvironmentFailed: there is none.
        """
        import pymysql

        try:
            return pymysql.connect(
                **self._where,
                user=user or self._user,
                password=self._password if password is None else password,
                database=database,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=_WAIT,
                read_timeout=_WAIT,
                write_timeout=_WAIT,
                local_infile=False,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise EnvironmentFailed(f"the database server does not answer: {_words(error)}") from error

    def check(self) -> str:
        """Returns the server's version, after trying what a task needs: a database and a user.

        Raises:
            UserError: the server is away, or the administrator may not make users.
        """
        trial = DbTask("trial", "", "", "SELECT", "trial", ("a",), (("1",),), ("1",))
        try:
            with closing(self.connect()) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT VERSION()")
                version = str(cursor.fetchone()[0])
            ServerDatabase(trial, self).close()
        except EnvironmentFailed as error:
            raise UserError(
                "The database server cannot be used.",
                str(error),
                "Start it, and name a user that may create databases and users.",
            ) from error
        return version

    def database(self, task: DbTask) -> ServerDatabase:
        """Returns a task's database."""
        return ServerDatabase(task, self)


class ServerDatabase:
    """One task's database; see `environment.Database`.

    Args:
        task: its table.
        address: the server.

    Raises:
        EnvironmentFailed: the server is away or refuses.
    """

    def __init__(self, task: DbTask, address: ServerAddress) -> None:
        self._task, self._address = task, address
        self._name, self._password = f"sit_{secrets.token_hex(8)}", secrets.token_urlsafe(16)
        with closing(address.connect()) as connection, connection.cursor() as cursor:
            try:
                self._make(cursor)
            except Exception as error:
                self._remove(cursor)
                raise EnvironmentFailed(f"the task's database cannot be made: {_words(error)}") from error

    def execute(self, sql: str) -> str:
        """Executes one statement and returns its rows, or the server's error."""
        import pymysql
        from pymysql.cursors import SSCursor

        if (used_database(sql) or "").lower() == self._task.table.lower():  # here it has another name
            return printed([])
        with closing(self._address.connect(self._name, self._password, self._name)) as connection:
            number = connection.thread_id()
            try:
                _limit(connection)
                cursor = connection.cursor(SSCursor)
                cursor.execute(self._bare(storable(sql)))
                rows = first_rows(cursor) if cursor.description else []
                if cursor._result is not None:
                    cursor._result.unbuffered_active = False  # or closing it reads the rows that nobody sees
                return self._named(printed(rows))
            except pymysql.MySQLError as error:
                code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
                if code in (2006, 2013) and "timed out" in str(error):
                    self._end(number)
                    text = "3024 (HY000): Query execution was interrupted, maximum statement execution time exceeded"
                    return text
                if code in _LOST:
                    raise EnvironmentFailed(f"the database server went away: {_words(error)}") from error
                return cut(self._named(_words(error)))

    def table_hash(self) -> str:
        """Returns the hash of the task's table."""
        import pymysql

        names = ",".join(map(quoted, self._task.columns))
        with closing(self._address.connect(database=self._name)) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT {names} FROM {quoted(self._task.table)}")
                return table_hash([[None if v is None else str(v) for v in row] for row in cursor])
            except pymysql.MySQLError as error:
                if error.args and error.args[0] in _LOST:
                    raise EnvironmentFailed(f"the database server went away: {_words(error)}") from error
                return "the table, or one of its columns, is gone"

    def close(self) -> None:
        """Drops the database and its user."""
        with suppress(EnvironmentFailed), closing(self._address.connect()) as connection, connection.cursor() as cursor:
            self._remove(cursor)

    def _make(self, cursor: Any) -> None:
        import pymysql

        task, name = self._task, self._name
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        for host in _HOSTS:
            cursor.execute(f"CREATE USER {name}@%s IDENTIFIED BY %s", (host, self._password))
            cursor.execute(f"GRANT ALL ON {name}.* TO {name}@%s", (host,))
        cursor.execute(f"USE {name}")
        kinds = [(column, "BIGINT" if column in task.numbers else "TEXT") for column in task.columns]
        columns = ",".join(f"{quoted(column)} {kind}" for column, kind in kinds)
        marks = ",".join(["%s"] * len(task.columns))
        with suppress(pymysql.ProgrammingError):  # a column without a name: AgentBench goes on without the table, too
            cursor.execute(f"CREATE TABLE {quoted(task.table)} ({columns})")
            if task.rows:
                cursor.executemany(f"INSERT INTO {quoted(task.table)} VALUES ({marks})", task.rows)

    def _remove(self, cursor: Any) -> None:
        users = [f"DROP USER IF EXISTS {self._name}@'{host}'" for host in _HOSTS]
        for statement in (f"DROP DATABASE IF EXISTS {self._name}", *users):
            with suppress(Exception):
                cursor.execute(statement)

    def _end(self, number: int) -> None:
        with suppress(Exception), closing(self._address.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"KILL {number}")

    def _bare(self, sql: str) -> str:
        """Returns a statement without the database's name before the table's: here it has another."""
        table = re.escape(quoted(self._task.table))
        return re.sub(rf"{table}\s*\.\s*(?={table})", "", sql)

    def _named(self, text: str) -> str:
        """Returns a text with the task's name where the server writes the database's, as AgentBench has them equal."""
        return text.replace(self._name, self._task.table)


def _limit(connection: Any) -> None:
    """Limits a connection's statements in time; strictness is that of AgentBench's published hashes."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', group_concat_max_len = 1024")
        for setting in (f"max_statement_time = {SECONDS}", f"max_execution_time = {SECONDS * 1000}"):
            with suppress(Exception):  # the first is MariaDB's, the second MySQL's
                cursor.execute(f"SET SESSION {setting}")


def _words(error: BaseException) -> str:
    """Returns an error as MySQL's connector prints it."""
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        text = re.sub(r"\s+", " ", str(error.args[1]))
        return str(SqlFault(error.args[0], getattr(error, "sqlstate", None) or "HY000", text))
    return str(error)
