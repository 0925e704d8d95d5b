"""MySQL's language in the embedded database, statement by statement as MariaDB has it; and limits of what it may do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.patterns import like
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.texts import compare, key, text
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress, ServerDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask

COLUMNS = (
    "id",
    "Name",
    "Year",
    "Total pts",
    "Note",
    "Date",
    "Result (F–A)",
    "No. in series",
    "Order",
    "H / A",
    "Größe",
)
ROWS = (
    ("1", "Ann", "2001", "12,000", "é", "2001-03-04", "W 27–20", "1.", "10", "A", "5"),
    ("2", "bob", "1999", "7.40", None, "March 4, 1999", "L 3–1", "2", "9", "H", "5.0"),
    ("3", "Cid", "2003", "30", "", "04/03/2003", "3-2", "10", "100", "A", "05"),
    ("4", 'O\'Neil "Q"', "N/A", "-5.5", "x  ", "2003-12-31 10:20:30", "D 0–0 (a.e.t.)", "", "abc", "H", "5 m"),
    ("5", "ÅSA zoë", "2010", "1e3", "  lead", "1 January 2010", "W", "007", "  3", "A", ""),
    ("6", "ann", "2010", None, "E", "2010-02-30", "w 27–20", "7", "-1", "H", None),
)
TASK = DbTask("db-0", "q", "a", "other", "Score Table", COLUMNS, ROWS, ("x",))
VALUES = [
    *(
        "'a''b\\'c\\\\d\\te\\%f\\_g'",
        '"say \\"hi\\" it\'s"',
        "NULL",
        "DEFAULT",
        "007",
        "1.50",
        "-0.0",
        "1e3",
        "1e20",
        "TRUE",
    ),
    *(
        "1+1",
        "3*1.5",
        "7 DIV 2",
        "0x41",
        "X'42'",
        "b'1000001'",
        "'a' 'b'",
        "CONCAT('x', 1.50)",
        "UPPER('é')",
        "ROUND(2.5)",
    ),
    *(
        "FORMAT(1234.5, 0)",
        "TRUNCATE(7.899, 1)",
        "MOD(10, 3)",
        "ABS(-3)",
        "CAST('7' AS DECIMAL(5,2))",
        "REPEAT('ab', 2)",
    ),
    *("STR_TO_DATE('March 4, 1999', '%M %e, %Y')", "DATE_FORMAT('2001-02-03', '%D %b %y')", "LEFT('abc', 2)"),
    *(
        "IF(1, 'y', 'n')",
        "COALESCE(NULL, 'x')",
        "REPLACE('aAa', 'a', 'b')",
        "LPAD('5', 3, '0')",
        "'Ω – “q” …'",
        "MD5('a')",
    ),
]
CELLS = [
    *(
        "Year + 1",
        "Year / 2",
        "`Total pts` * 1.1",
        "ROUND(`Total pts`)",
        "ROUND(`Total pts`, 1)",
        "CAST(Year AS SIGNED) - 1",
    ),
    *("CONCAT(Name, ' (', Year, ')')", "CONCAT_WS('-', Name, Note, Year)", "TRIM(Note)", "UPPER(Name)", "LOWER(Name)"),
    *(
        "CASE WHEN Year > 2000 THEN 'new' ELSE 'old' END",
        "IFNULL(Note, 'none')",
        "NULLIF(Note, '')",
        "SUBSTRING(Name, 2)",
    ),
    *(
        "FORMAT(REPLACE(`Total pts`, ',', '') + 100, 0)",
        "MID(Name, 1, 1)",
        "RIGHT(Year, 2)",
        "CAST(Year AS DECIMAL(10,2))",
    ),
    *(
        "(SELECT MAX(Year) + 1 FROM (SELECT Year FROM `Score Table`) t)",
        "'7.400'",
        "Name",
        "NULL",
        "DEFAULT",
        "REVERSE(Name)",
    ),
]
CONDITIONS = [
    *(
        "id = 1",
        "id = '01'",
        "id = 1.0",
        "Year = 2010",
        "Year = '2010 '",
        "Year > '2'",
        "`Total pts` = 12",
        "`Total pts` < 0",
    ),
    *(
        "Note = 'x'",
        "Note = 'e'",
        "Note = ' '",
        "Note IS NULL",
        "Note <> 'e'",
        "`H / A` = 'a'",
        "`Order` = 3",
        "`Größe` = 5",
    ),
    *(
        "`Größe`",
        "NOT `Größe`",
        "Name LIKE 'a__'",
        "Name LIKE '%ASA%'",
        "`Result (F–A)` LIKE 'w 27–20'",
        "Name LIKE BINARY 'a%'",
    ),
    *(
        "`Result (F–A)` = 'W 27-20'",
        "id BETWEEN 2 AND 4",
        "Name BETWEEN 'a' AND 'c'",
        "id = 1 || id = 2",
        "id = 1 XOR id = 2",
    ),
    *(
        "(id, Year) = (1, 2001)",
        "(id, Year) IN (('1', '2001'))",
        "id IN (SELECT MAX(id) FROM (SELECT id FROM `Score Table`) t)",
    ),
    *(
        'Name = "O\'Neil \\"Q\\""',
        "Name = 'o''neil \"q\"'",
        "Name REGEXP '^a'",
        "Year REGEXP '^[0-9]+$'",
        "BINARY Name = 'ann'",
    ),
    *("LENGTH(Name) > CHAR_LENGTH(Name)", "INSTR(Name, 'N') > 0", "LOCATE('n', Name) = 2", "TRIM(Name) = 'ANN'"),
    *("CONCAT(Name, 'x') IN ('ANNX', 'y')", "YEAR(Date) = 2001", "Date > '2003-01-01'", "`No. in series` = 7", "1 = 0"),
    *("STR_TO_DATE(Date, '%M %d, %Y') = '1999-03-04'", "CAST(SUBSTRING_INDEX(`Result (F–A)`, '–', -1) AS SIGNED) > 5"),
    *("Year = (SELECT MAX(CAST(Year AS SIGNED)) FROM (SELECT Year FROM `Score Table`) t)", "Year = ANY (SELECT 2003)"),
]
TAILS = [
    "",
    " LIMIT 1",
    " ORDER BY id DESC LIMIT 2",
    " ORDER BY Note, id LIMIT 2",
    " ORDER BY CAST(`Order` AS SIGNED), id LIMIT 1",
]
SHOWN = [
    *(
        "Name",
        "*",
        "COUNT(*)",
        "SUM(Year)",
        "AVG(CAST(REPLACE(`Total pts`, ',', '') AS SIGNED))",
        "MAX(`Total pts` + 0)",
    ),
    *("SUM(CAST(`Größe` AS DECIMAL(10,2)))", "COUNT(DISTINCT Name)", "GROUP_CONCAT(Name ORDER BY id SEPARATOR '; ')"),
    *(
        "SUM(Year = 2010)",
        "COUNT(*) / 2",
        "ROUND(COUNT(*) / 4, 1)",
        "SUM(IF(Year > 2000, 1, 0))",
        "MIN(Name), MAX(Note)",
    ),
]
FIXED = [
    "SELECT 1 = '1', '1' = '01', 'a' = 'A', 'a' = 'a ', 'é' = 'e', 'ß' = 's', '' = ' ', 0 = 'abc', 'a' LIKE 'a '",
    "SELECT 'a' < 'B', 'Z' < 'a', '10' < '9', 10 < '9', 'ä' < 'b', NULL <=> NULL, 'b' BETWEEN 'A' AND 'C'",
    "SELECT 7/2, 7 DIV 2, 7 % 2, -7 DIV 2, 1/3, '7'/2, '3a' * 2, 1/0, 5 DIV 0, 1.5 + 1, 1.50 * 2, 0.1 + 0.2, 1e0",
    "SELECT YEAR('abc'), DAYNAME('2001-02-03'), MONTHNAME('2001-02-03')",
    "SELECT QUARTER('2001-02-03'), DATE('2001-02-03 04:05')",
    "SELECT DATEDIFF('2001-03-01', '2001-02-01'), DATE_ADD('2001-01-31', INTERVAL 1 MONTH)",
    "SELECT EXTRACT(YEAR FROM '2001-02-03')",
    "SELECT DATE_FORMAT('2001-02-03', '%M %D, %Y'), DATE_FORMAT(STR_TO_DATE('March 4, 1999', '%M %d, %Y'), '%W %e')",
    "SELECT ROUND(2.5), ROUND(3.14159, 2), ROUND('3.14159', 2), FLOOR(1.7), CEIL(1.2), CAST('12.345' AS DECIMAL(10,2))",
    "SELECT 'abc' LIKE 'A%', 'a%c' LIKE 'a\\%c', 'abc' LIKE 'a\\%c', 'axc' LIKE 'a_c'",
    "SELECT 'abcabc' LIKE '%b%c', '' LIKE '%'",
    "SELECT ELT(2, 'a', 'b'), FIELD('B', 'a', 'b'), FIND_IN_SET('b', 'a,b')",
    "SELECT INSERT('abc', 2, 1, 'X'), ASCII('a'), MID('abc', 2, 1)",
    "INSERT INTO `Score Table` (id, id) VALUES (1, 2)",
    "INSERT INTO `Score Table` (Order) VALUES (1)",
    "INSERT INTO `score table` (id) VALUES (1)",
    "INSERT INTO `Score Table` (id) VALUES (1) ON DUPLICATE KEY UPDATE Name = 'x'",
    "INSERT IGNORE INTO `Score Table` (id) VALUES (1)",
    "INSERT INTO `Score Table` (id, Name) SELECT MAX(id) + 1, 'new' FROM `Score Table`",
    "UPDATE `Score Table` SET Year = Year * 2, Name = Year WHERE id = 1",
    "UPDATE `Score Table` s SET s.Name = 'x' WHERE s.id = 1",
    "UPDATE `Score Table` SET `Score Table`.`Name` = 'x' WHERE `Score Table`.`id` = 1",
    "UPDATE `Score Table` a JOIN `Score Table` b ON a.Year = b.Year AND a.id <> b.id SET a.Name = 'twice'",
    "UPDATE `Score Table` SET Name = 'x', WHERE id = 1",
    "UPDATE `Score Table` SET Name == 'x'",
    "UPDATE LOW_PRIORITY `Score Table` SET Name := 'x'",
    "DELETE s FROM `Score Table` s WHERE s.id = 1",
    "TRUNCATE TABLE `Score Table`",
    "ALTER TABLE `Score Table` ADD COLUMN x TEXT",
    "ALTER TABLE `Score Table` RENAME COLUMN Note TO Other",
    "SELECT Name, SUM(Year) OVER (ORDER BY id), LAG(Name) OVER (ORDER BY id) FROM `Score Table`",
    "SELECT YEAR(Date), MONTH(Date), DATE_FORMAT(Date, '%Y-%m'), TIMESTAMPDIFF(YEAR, '2000-01-01', Date) "
    "FROM `Score Table`",
    "SELECT Year % 4, POW(Year, 2), SQRT(Year), -Year, 5.5 % 2, ROUND(1234.567, -2), LOG10(1000) FROM `Score Table`",
    "SELECT GREATEST(1, 2.5, '3'), LEAST('a', 'B'), GREATEST(Year, `Order`), STRCMP('a', 'B') FROM `Score Table`",
    "SELECT MAX(CAST(Year AS SIGNED)) - MIN(CAST(Year AS SIGNED)), STDDEV(id), VARIANCE(id) FROM `Score Table`",
    "SELECT CAST(Date AS DATETIME), LAST_DAY('2001-02-03'), WEEK('2001-02-03'), ADDDATE('2001-01-01', "
    "31) FROM `Score Table`",
    "SELECT TIME_TO_SEC('01:02:03'), SHA1('a'), SHA2('a', 256), CRC32('a'), STR_TO_DATE('2003-12-31 "
    "10:20', '%Y-%m-%d')",
    "SELECT Name FROM `Score Table` HAVING Name = 'Ann'",
    "SELECT Name FROM `Score Table` WHERE Year >= ALL (SELECT Year FROM `Score Table`)",
    "SELECT Name FROM `Score Table` WHERE `Order` + 0 >= ALL (SELECT `Order` + 0 FROM `Score Table` WHERE id < 4)",
    "SELECT Name FROM `Score Table` WHERE id > ANY (SELECT id FROM `Score Table` WHERE Year = 2003)",
    "SELECT Name FROM `Score Table` WHERE Year > (SELECT AVG(Year) FROM `Score Table`)",
    "SELECT Name FROM `Score Table` s JOIN (SELECT MAX(Year + 0) y FROM `Score Table`) m ON s.Year = m.y",
    "DESC `Score Table` Name",
    "USE `Score Table`",
    "SET NAMES utf8mb4",
    "INSERT INTO `Score Table` () VALUES ()",
    "INSERT INTO `Score Table` (id, Name) SELECT 7, 'x' FROM DUAL WHERE NOT EXISTS (SELECT * FROM `Score "
    "Table` WHERE id = 7)",
    "INSERT INTO `Score Table` (id, Note) VALUES (7, 10 / 4), (8, 1/3), (9, ROUND('5.678', 1)), (10, 5.5 "
    "% 2), (11, ROUND(1234.5, -2))",
    "INSERT INTO `Score Table` (id, Note) SELECT 7, AVG(CAST(Year AS SIGNED)) FROM `Score Table`",
    "UPDATE `Score Table` SET `Total pts` = CAST(`Total pts` AS DECIMAL(10,2)) / 3",
    "UPDATE `Score Table` SET `Total pts` = ROUND(CAST(`Total pts` AS DECIMAL(10,3)) / 3, 2), Note = "
    "CAST(id AS SIGNED) * 2.5",
    "UPDATE `Score Table` SET Year = (SELECT AVG(y) FROM (SELECT CAST(Year AS SIGNED) y FROM `Score Table`) t)",
    "UPDATE `Score Table` SET Note = CAST(CAST(`Größe` AS DECIMAL(10,1)) AS CHAR), Name = "
    "CONCAT(CAST(`Größe` AS DECIMAL(5,2)), '')",
    "UPDATE `Score Table` SET Note = CONCAT(ROUND(`Größe` * 3.28084, 1), ' ft'), Name = ELT(id, 'a', 'b')",
    "UPDATE `Score Table` SET Name = 'x' WHERE Year > (SELECT AVG(Year) FROM (SELECT * FROM `Score Table`) t)",
    "UPDATE `Score Table` SET Name = GREATEST(Year, 2005), Note = LEAST(Year, '2005'), Year = -Year",
    "DELETE a FROM `Score Table` a INNER JOIN `Score Table` b WHERE a.id < b.id AND a.Year = b.Year",
    "ALTER TABLE `Score Table` CHANGE Note Other TEXT",
    "START TRANSACTION",
]  # fmt: skip
statements = st.one_of(
    st.sampled_from(FIXED),
    st.lists(st.sampled_from(VALUES), min_size=3, max_size=3).map(
        lambda v: f"INSERT INTO `Score Table` (`Name`, `Order`, Year) VALUES ({', '.join(v)})"
    ),
    st.tuples(st.sampled_from(CELLS), st.sampled_from(CELLS), st.sampled_from(CONDITIONS), st.sampled_from(TAILS)).map(
        lambda p: f"UPDATE `Score Table` SET Note = {p[0]}, `H / A` = {p[1]} WHERE {p[2]}{p[3]}"
    ),
    st.tuples(st.sampled_from(CONDITIONS), st.sampled_from(TAILS)).map(
        lambda p: f"DELETE FROM `Score Table` WHERE {p[0]}{p[1]}"
    ),
    st.tuples(st.sampled_from(SHOWN), st.sampled_from(CONDITIONS)).map(
        lambda p: f"SELECT {p[0]} FROM `Score Table` WHERE {p[1]}"
    ),
)


@pytest.fixture(scope="module")
def server(mariadb: ServerAddress) -> Iterator[ServerDatabase]:
    with closing(mariadb.database(TASK)) as database:
        yield database


def filled(server: ServerDatabase) -> ServerDatabase:
    """The same database with the task's table as it was: making users takes longer than all else."""
    with closing(server._address.connect(database=server._name)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE `{name}`")
        cursor.execute(f"CREATE TABLE `Score Table` ({','.join(f'`{name}` TEXT' for name in COLUMNS)})")
        cursor.executemany(f"INSERT INTO `Score Table` VALUES ({','.join(['%s'] * len(COLUMNS))})", ROWS)
    return server


def same(sql: str, server: ServerDatabase) -> None:
    theirs = filled(server)
    with closing(EmbeddedDatabase(TASK)) as ours:
        said, answer = ours.execute(sql), theirs.execute(sql)
        code = re.match(r"\d{4} \(\w{5}\)", answer)
        assert said.startswith(code[0]) if code else said == answer, f"{sql}: {said} is not {answer}"
        assert ours.table_hash() == theirs.table_hash(), sql


@settings(max_examples=60)
@given(statements)
def test_both_databases_do_the_same(server: ServerDatabase, sql: str) -> None:
    same(sql, server)


@pytest.mark.parametrize("sql", FIXED)
def test_what_differed_once(server: ServerDatabase, sql: str) -> None:
    same(sql, server)


def test_a_derived_table_has_a_name() -> None:
    """MySQL's own error; MariaDB calls it one of syntax."""
    with closing(EmbeddedDatabase(TASK)) as database:
        answer = database.execute("SELECT COUNT(*) FROM (SELECT DISTINCT Name FROM `Score Table`)")
    assert answer == "1248 (42000): Every derived table must have its own alias"


letters = st.text(st.sampled_from("aAäÄbßs éE–-1 ÅΩω\U0001f600"), max_size=4)


@settings(max_examples=40)
@given(st.lists(letters, min_size=2, max_size=6))
def test_texts_are_compared_as_mariadb_compares_them(mariadb: ServerAddress, texts: list[str]) -> None:
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
        pairs = list(pairwise(texts))
        shown = ",".join(["%s = %s, %s < %s, %s LIKE %s"] * len(pairs))
        cursor.execute(f"SELECT {shown}", [one for a, b in pairs for one in (a, b, a, b, a, b)])
        wanted = list(cursor.fetchone())
    found = [n for a, b in pairs for n in (compare(a, b) == 0, compare(a, b) < 0, like(b, a))]
    assert list(map(int, found)) == wanted


# What a statement may do


@given(st.text("ab%_\\", max_size=8), st.text("ab%_\\", max_size=8))
def test_like_finds_what_a_regular_expression_finds(pattern: str, value: str) -> None:
    made = re.sub(r"\\(.)|(%)|(_)|(.)", lambda m: ".*" if m[2] else "." if m[3] else re.escape(m[1] or m[4]), pattern)
    wanted = re.fullmatch(made, value, re.DOTALL | re.IGNORECASE) is not None
    if not re.search(r"(^|[^\\])(\\\\)*\\$", pattern):  # an escape that escapes nothing
        assert like(pattern, value) is wanted


@given(st.text(), st.text())
def test_an_order_of_texts(a: str, b: str) -> None:
    assert compare(a, b) == -compare(b, a)
    assert (key(a) == key(b)) == (compare(a, b) == 0)
    assert compare(a, a + "  ") == 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value_as_text(value: float) -> None:
    assert float(text(value)) == value


HOSTILE = [
    "SELECT COUNT(*) FROM t WHERE REPEAT(s, 20) LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%c'",
    "SELECT LENGTH(GROUP_CONCAT(REPEAT(s, 2000))) FROM t a, t b",
    "SELECT SUM(LENGTH(REPEAT(a.s, 20000))) FROM t a, t b, t c",
    "SELECT COUNT(*) FROM t a, t b WHERE MD5(REPEAT(a.s, 9999)) = b.s",
    "SELECT COUNT(*) FROM t WHERE s REGEXP '(a|aa)+$'",
    "SELECT printf('%.*c', 100000000, 'x')",
    "SELECT hex(zeroblob(100000000))",
    "SELECT REPLACE(REPEAT('a', 1000000), 'a', REPEAT('b', 1000000))",
    "SELECT COUNT(*) FROM generate_series(1, 10000000000)",
    "SELECT json_group_array(a.s) FROM t a, t b, t c",
    "SELECT * FROM json_each('[1]')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_table_info('t')",
    "CREATE VIRTUAL TABLE v USING fts5(x)",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO t VALUES (1); END",
    "UPDATE t SET s = REPEAT('x', 900000)",
    "INSERT INTO t VALUES (" + "9" * 5000 + ")",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT 1" + "+1" * 5000,
    "SELECT FORMAT('1e999999999', 2), CAST('1e999999999' AS DECIMAL(10,2)), TRUNCATE('1e999', 2)",
    "SELECT STR_TO_DATE('x', REPEAT('%d', 100000)), DATE_FORMAT('2000-01-01', REPEAT('%D', 400000))",
    "SELECT DATE_ADD('2000-01-01', INTERVAL 99999999999 YEAR)",
    "SELECT '\ud800', `\ud800`",
    "SELECT 1\x00; DROP TABLE t",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_a_hostile_statement_costs_itself(sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr("synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.patterns._MATCH_SECONDS", 0.2)
    task = DbTask("x", "q", "a", "other", "t", ("s",), tuple(("a" * 40 + "b",) for _ in range(300)), ("x",))
    with closing(EmbeddedDatabase(task)) as database:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        answer = database.execute(sql)
        assert time.process_time() - began < 60
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kilobytes
        assert answer.startswith("[") or re.match(r"\d{4} \(\w{5}\): ", answer)
        assert database.execute("SELECT COUNT(*) FROM t") in ("[(300,)]", "[(301,)]")
