"""The two databases: SQLite says what MariaDB says, and neither lets a statement out of its task."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import table_hash
from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress, ServerDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed

STATEMENTS = [
    "SELECT * FROM `Score Table`",
    "SELECT Name FROM `Score Table` WHERE name = 'ANN'",
    "SELECT Name FROM `Score Table` WHERE Note = 'E'",
    'SELECT Name FROM `Score Table` WHERE Name = "bob"',
    'SELECT "Name" FROM `Score Table`',
    "SELECT Name FROM `Score Table` WHERE Year > 2000 ORDER BY Year DESC LIMIT 1",
    "SELECT Name FROM `Score Table` WHERE Year BETWEEN 2000 AND 2002",
    "SELECT Name FROM `Score Table` WHERE Year IN (1999, 2003) ORDER BY Name",
    "SELECT Name FROM `Score Table` WHERE `Total pts` = 7.4",
    "SELECT Name FROM `Score Table` WHERE `Total pts` + 0 > 11",
    "SELECT COUNT(*), SUM(Year), AVG(Year), MIN(`Total pts`), MAX(`Total pts`) FROM `Score Table`",
    "SELECT SUM(CAST(Year AS SIGNED)) FROM `Score Table`",
    "SELECT COUNT(DISTINCT Name, Year) FROM `Score Table`",
    "SELECT GROUP_CONCAT(Name ORDER BY Year DESC SEPARATOR '; ') FROM `Score Table`",
    "SELECT CONCAT(Name, '-', Year), IF(Year > 2000, 'a', 'b'), LEFT(Name, 2), RIGHT(Name, 1) FROM `Score Table`",
    "SELECT CONCAT_WS(',', Name, Note), UPPER(Name), LENGTH(Name), REPLACE(Name, 'n', 'm') FROM `Score Table`",
    "SELECT SUBSTRING_INDEX(`Total pts`, ',', 1), REVERSE(Name), LPAD(Name, 5, '.') FROM `Score Table`",
    "SELECT Name LIKE 'b_B', Name LIKE 'A%', Name REGEXP '^[a-b]' FROM `Score Table`",
    "SELECT CASE WHEN Note IS NULL THEN 'none' ELSE Note END, IFNULL(Note, '?') FROM `Score Table`",
    "SELECT Name FROM `Score Table` WHERE Note <=> NULL",
    "SELECT MD5('abc'), 'it\\'s', \"it's\", 1 = 1, NULL",
    "SELECT Name FROM `Score Table` WHERE 1 = 0",
    "SELECT * FROM `Score Table`.`Score Table` WHERE Name = 'Cid'",
    "SELECT t.Name FROM `Score Table` AS t JOIN `Score Table` u ON t.Year = u.Year ORDER BY t.Year",
    "SELECT Year % 10, COUNT(*) FROM `Score Table` GROUP BY Year % 10 HAVING COUNT(*) > 0 ORDER BY 1",
    "SHOW TABLES",
    "DESCRIBE `Score Table`",
    "SHOW COLUMNS FROM `Score Table`",
    "SELECT DATABASE()",
    "SELECT nothing FROM other",
    "SELECT * FROM other",
    "INSERT INTO `Score Table` VALUES ('x')",
    "SELECT 1;",
    "",
    " ; ",
    "SELECT REPEAT('x', 100000000)",
]
CHANGES = [
    "INSERT INTO `Score Table` VALUES ('D', 5, 7.40, NULL)",
    "INSERT INTO `Score Table` (Name, Year) VALUES ('D', -1), ('E', 007)",
    "INSERT INTO `Score Table` (`Total pts`, Note) VALUES ('O''Neil \\\\ \\n x', \"5\\\" x 'y'\")",
    "INSERT INTO `Score Table` SET Name = 'F', Year = 1.50",
    "UPDATE `Score Table` SET Year = Year + 1",
    "UPDATE `Score Table` SET Year = 8 WHERE name = 'ANN'",
    "UPDATE `Score Table` SET Note = 'x' ORDER BY Year DESC LIMIT 2",
    "UPDATE `Score Table` SET `Total pts` = '1', Note = NULL WHERE Year = 2001",
    "UPDATE `Score Table` SET Name = CONCAT(Name, Year) WHERE Note IS NULL OR Note = ''",
    "UPDATE `Score Table` SET Name = REPLACE(Name, 'n', '') WHERE Year < 2002",
    "DELETE FROM `Score Table` ORDER BY Year LIMIT 1",
    "DELETE FROM `Score Table` WHERE Year > 2000",
    "DELETE FROM `Score Table`",
    "REPLACE INTO `Score Table` VALUES ('1', '2', '3', '4')",
]
ESCAPES = [
    "ATTACH DATABASE '{file}' AS other",
    "VACUUM INTO '{file}'",
    "PRAGMA journal_mode = DELETE",
    "SELECT load_extension('{file}')",
    "SELECT writefile('{file}', 'x')",
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT * FROM `Score Table` INTO OUTFILE '{file}'",
    "SELECT 'x' INTO DUMPFILE '{file}'",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE `Score Table`",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE `Score Table`",
    "GRANT ALL ON *.* TO CURRENT_USER()",
    "CREATE USER evil",
    "CREATE DATABASE evil",
    "DROP DATABASE mysql",
    "SELECT * FROM mysql.user",
    "SELECT * FROM mysql.global_priv",
    "USE mysql",
    "SET GLOBAL max_connections = 1",
    "SHUTDOWN",
    "INSTALL PLUGIN x SONAME 'x.so'",
    "SELECT 1; DROP TABLE `Score Table`",
    "DELETE FROM information_schema.tables",
    "DROP TABLE information_schema.columns",
]
ENDLESS = [
    "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c",
    "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT n FROM c",
    "SELECT COUNT(*) FROM `Score Table` a, `Score Table` b, `Score Table` c, `Score Table` d",
    "CREATE TABLE big AS WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT n FROM c",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_sqlite_says_what_mariadb_says(sql: str, scores: DbTask, mariadb: ServerAddress) -> None:
    with closing(EmbeddedDatabase(scores)) as ours, closing(mariadb.database(scores)) as theirs:
        assert ours.execute(sql) == theirs.execute(sql)


@pytest.mark.parametrize("sql", CHANGES)
def test_a_change_leaves_the_same_table_in_both(sql: str, scores: DbTask, mariadb: ServerAddress) -> None:
    with closing(EmbeddedDatabase(scores)) as ours, closing(mariadb.database(scores)) as theirs:
        before = ours.table_hash()
        assert before == theirs.table_hash()
        assert ours.execute(sql) == theirs.execute(sql) == "[]"
        assert ours.execute("SELECT * FROM `Score Table`") == theirs.execute("SELECT * FROM `Score Table`")
        assert before != ours.table_hash() == theirs.table_hash()


@given(st.lists(st.lists(st.none() | st.text(max_size=20), min_size=2, max_size=2), max_size=20))
def test_a_table_is_stored_and_hashed_as_given(rows: list[list[str | None]]) -> None:
    rows = [[None if c is None else c.encode("utf-8", "ignore").decode() for c in row] for row in rows]
    task = DbTask("x", "q", "a", "other", "a `b`", ("1st", "`"), tuple(map(tuple, rows)), ("x",))
    with closing(EmbeddedDatabase(task)) as database:
        assert database.table_hash() == table_hash(rows)


@settings(max_examples=200)
@given(st.text(max_size=60) | st.sampled_from(STATEMENTS + CHANGES).flatmap(lambda s: st.just(s[: len(s) // 2])))
def test_any_text_gives_an_answer(sql: str) -> None:
    task = DbTask("x", "q", "a", "other", "t", ("a",), (("1",),), ("1",))
    with closing(EmbeddedDatabase(task)) as database:
        answer = database.execute(sql)
    assert answer.startswith("[") or re.match(r"\d{4} \(\w{5}\): ", answer)
    assert len(answer) <= 811


# Containment


@pytest.mark.parametrize("sql", ESCAPES)
def test_nothing_leaves_sqlite(sql: str, scores: DbTask, tmp_path: Path) -> None:
    file = tmp_path / "out"
    with closing(EmbeddedDatabase(scores)) as database:
        before = database.table_hash()
        assert re.match(r"\d{4} \(\w{5}\): ", database.execute(sql.format(file=file)))
        assert (before, list(tmp_path.iterdir())) == (database.table_hash(), [])
        assert database.execute("SELECT COUNT(*) FROM `Score Table`") == "[(3,)]"


@pytest.mark.parametrize("sql", ESCAPES)
def test_nothing_leaves_the_servers_database(sql: str, scores: DbTask, mariadb: ServerAddress, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with closing(mariadb.database(scores)) as database, closing(mariadb.database(scores)) as neighbour:
        answer = database.execute(sql.format(file=tmp_path / "out"))
        assert "root:" not in answer
        assert re.match(r"\d{4} \(\w{5}\): ", answer) or answer == "[(None,)]"
        assert list(tmp_path.iterdir()) == []
        assert neighbour.table_hash() == database.table_hash() == table_hash(scores.rows)


@pytest.mark.parametrize("sql", ENDLESS)
def test_a_statement_without_end_costs_that_statement(sql: str, scores: DbTask) -> None:
    large = replace(scores, rows=tuple((str(k), "1", "2", "3") for k in range(300)))
    with closing(EmbeddedDatabase(large)) as database:
        began = time.process_time()
        answer = database.execute(sql)
        assert time.process_time() - began < 60
        assert answer.startswith("[(1,)") or "interrupted" in answer or "is full" in answer
        assert database.execute("SELECT COUNT(*) FROM `Score Table`") == "[(300,)]"


def test_a_slow_statement_is_ended_on_the_server(
    scores: DbTask, mariadb: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthetic_instruction_tuner.evaluation.agent_bench.db.server.SECONDS", 1)
    with closing(mariadb.database(scores)) as database:
        assert "interrupted" in database.execute("SELECT SLEEP(60)")
        assert database.execute("SELECT COUNT(*) FROM `Score Table`") == "[(3,)]"


def test_a_hundred_thousand_rows(scores: DbTask) -> None:
    large = replace(scores, rows=tuple((str(k), None, "x" * 20, "") for k in range(100_000)))
    with closing(EmbeddedDatabase(large)) as database:
        assert database.execute("SELECT * FROM `Score Table`").endswith("[TRUNCATED]")
        assert database.execute("SELECT COUNT(*) FROM `Score Table`") == "[(100000,)]"
        assert database.table_hash() == table_hash(large.rows)


def test_a_table_that_is_gone_is_no_error_of_the_environment(scores: DbTask, mariadb: ServerAddress) -> None:
    for database in (EmbeddedDatabase(scores), mariadb.database(scores)):
        with closing(database):
            assert database.execute("DROP TABLE `Score Table`") == "[]"
            assert "gone" in database.table_hash()


def test_a_server_that_is_away_is_an_error_of_the_environment(scores: DbTask, tmp_path: Path) -> None:
    away = ServerAddress(f"mysql://root@/?unix_socket={tmp_path / 'none'}")
    with pytest.raises(EnvironmentFailed, match="does not answer"):
        ServerDatabase(scores, away)


def test_nothing_stays_on_the_server(scores: DbTask, mariadb: ServerAddress) -> None:
    with closing(mariadb.database(scores)) as database:
        database.execute("CREATE TABLE other (a TEXT)")
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE 'sit\\_%'")
        assert cursor.fetchall() == ()
        cursor.execute("SELECT User FROM mysql.user WHERE User LIKE 'sit\\_%'")
        assert cursor.fetchall() == ()
