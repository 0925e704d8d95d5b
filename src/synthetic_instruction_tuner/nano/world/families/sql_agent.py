"""One step on a database, in the text protocol of AgentBench: a thought, an ``Action:`` line and one fenced block.

The form is the one that AgentBench v0.2 parses. SQL is checked by its effect on a small SQLite database in memory.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import numbers_in
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.goals import Goal, read
from synthetic_instruction_tuner.nano.world.vocabulary import COLORS, NAMES, THINGS, WORDS

_RESERVED = {"table", "key", "lock", "rail", "match", "index"}
TABLES = tuple(w for w in THINGS if w not in _RESERVED)
NUMERIC = ("price", "size", "weight", "age", "amount")
TEXTUAL = ("color", "owner", "name")
_SQL = {
    "number": "|".join(NUMERIC), "text": "|".join(TEXTUAL), "target": "|".join(NUMERIC + TEXTUAL),
    "n": r"\d{1,3}", "a": "[A-Za-z]+", "b": "[A-Za-z]+", "c": r"\d{1,3}",
}  # fmt: skip
DB_GOALS = (
    Goal(
        ("What is the {target} where {text} is {a}?", "Find the {target} of the row with {text} {a}."),
        ("SELECT {target} FROM {table} WHERE {text} = '{a}';",),
        "{target} for {text} = {a}",
        _SQL,
    ),
    Goal(
        ("How many rows have the {text} {a}?", "Count the rows where {text} is {a}."),
        ("SELECT COUNT(*) FROM {table} WHERE {text} = '{a}';",),
        "number of rows with {text} = {a}",
        _SQL,
    ),
    Goal(
        ("What is the largest {number}?", "Find the highest {number} in it."),
        ("SELECT MAX({number}) FROM {table};",),
        "largest {number}",
        _SQL,
    ),
    Goal(
        ("What is the smallest {number}?", "Find the lowest {number} in it."),
        ("SELECT MIN({number}) FROM {table};",),
        "smallest {number}",
        _SQL,
    ),
    Goal(
        ("What is the sum of the column {number}?", "Add up every {number} in it."),
        ("SELECT SUM({number}) FROM {table};",),
        "sum of {number}",
        _SQL,
    ),
    Goal(
        ("Which {text} has a {number} above {n}?", "Find each {text} with {number} over {n}."),
        ("SELECT {text} FROM {table} WHERE {number} > {n};",),
        "{text} with {number} > {n}",
        _SQL,
    ),
    Goal(
        ("Set the {number} to {n} where {text} is {a}.", "For {text} {a} the {number} should become {n}."),
        ("UPDATE {table} SET {number} = {n} WHERE {text} = '{a}';",),
        "{text} = {a}, new {number}: {n}",
        _SQL,
    ),
    Goal(
        ("Insert the row {a}, {b}, {c}.", "A new row is missing: {a}, {b}, {c}."),
        ("INSERT INTO {table} VALUES ('{a}', '{b}', {c});",),
        "new row: {a}, {b}, {c}",
        _SQL,
    ),
)
_ALLOWED = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_FUNCTION,
}  # fmt: skip
_FUNCTIONS = {"count", "max", "min", "sum", "avg", "lower", "upper"}
_STEPS = 20_000  # virtual machine instructions of one query

_ACTION = re.compile(r"Action: (.*?)\n")
_SQL_BLOCK = re.compile(r"```sql\n(.*?)\n```", re.DOTALL)
_QUOTED = re.compile(r'"([^"]*)"')


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    known = action in _ALLOWED and (action != sqlite3.SQLITE_FUNCTION or (second or "").lower() in _FUNCTIONS)
    return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY


@lru_cache(maxsize=4_096)
def effect(
    table: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], sql: str
) -> tuple[object, ...] | None:
    """Returns what one statement selects, and the table after it, or None when it fails or is not allowed."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        kinds = ", ".join(f'"{c}" {"INTEGER" if c in NUMERIC else "TEXT"}' for c in columns)
        connection.execute(f'CREATE TABLE "{table}" ({kinds})')
        connection.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(columns))})', rows)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: 1, _STEPS)
        selected = connection.execute(sql).fetchmany(100)
        connection.set_progress_handler(None, 0)
        after = connection.execute(f'SELECT * FROM "{table}"').fetchall()
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return None
    finally:
        connection.close()
    return sorted(selected, key=repr), sorted(after, key=repr)


class DatabaseAgent(Family):
    """One operation on a table that is shown in the task."""

    name = "db_agent"
    domain = "agent"
    takes_marks = False
    patterns = {
        "table": "[a-z]+",
        "columns": "[a-z]+, [a-z]+, [a-z]+",
        "rows": r"\w+, \w+, \d+(?:\n\w+, \w+, \d+)*",
        "goal": r"[A-Z][^\n]+",
    }
    templates = (
        'Answer with "Action: Operation" and one SQL block. Table {table} ({columns}):\n{rows}\n{goal}',
        "{goal}\nUse SQL on the table {table} with {columns}:\n{rows}\nBegin with a thought, then write "
        "Action: Operation.",
        "You work on a database. The table {table} has the columns {columns}.\n{rows}\nTask: {goal}",
        "Database task: {goal}\nTable: {table}\nColumns: {columns}\n{rows}\nThink, then act with one SQL operation.",
        "Here is the table {table} in MySQL.\n{columns}\n{rows}\nWhich SQL operation is next? {goal}",
    )
    thoughts = (
        'The table "{table}" has all I need. The task is about this: {note}. One SQL statement will do it.',
        'I look at the columns of "{table}" first. What is wanted is {note}, so I write one short statement.',
        'I think one step is enough here. In the table "{table}" I go for this: {note}.',
        'What we want: {note}. All of this can be done in "{table}" with a single statement.',
    )

    def fill(self, rng: Random) -> Slots:
        number, other = rng.choice(NUMERIC), rng.choice(("color", "owner"))
        others = rng.sample(COLORS if other == "color" else NAMES, 4)
        things = rng.sample(WORDS, 4)
        rows = [(things[i], others[i], str(rng.randint(2, 99))) for i in range(3)]
        goal = rng.choice(DB_GOALS)
        text, column = rng.choice((("name", 0), (other, 1)))
        values: Slots = {
            "text": text,
            "number": number,
            "target": rng.choice([c for c in ("name", other, number) if c != text]),
            "n": str(rng.randint(2, 99)),
            "a": rng.choice(rows)[column],
            "b": others[3],
            "c": str(rng.randint(2, 99)),
        }
        if "{b}" in goal.note:
            values["a"] = things[3]
        return {
            "table": rng.choice(TABLES),
            "columns": f"name, {other}, {number}",
            "rows": "\n".join(", ".join(row) for row in rows),
            "goal": rng.choice(goal.texts).format(**values),
        }

    @staticmethod
    def _solve(slots: Slots) -> tuple[str, str, Slots] | None:
        """Returns the statement, the note and the values of the goal."""
        found = read(DB_GOALS, slots["goal"])
        if found is None or slots["table"] in _RESERVED:
            return None
        index, values = found
        goal, named = DB_GOALS[index], {values[k] for k in ("text", "number", "target") if k in values}
        if not named.issubset(slots["columns"].split(", ")):
            return None
        return goal.solutions[0].format(**values, table=slots["table"]), goal.note.format(**values), values

    def solvable(self, slots: Slots) -> bool:
        columns = slots["columns"].split(", ")
        known = columns[0] in TEXTUAL and columns[1] in TEXTUAL and columns[2] in NUMERIC and columns[0] != columns[1]
        return known and self._solve(slots) is not None

    def answer(self, rng: Random, slots: Slots) -> str:
        solved = self._solve(slots)
        assert solved is not None, "only solvable slots come here"
        thought = rng.choice(self.thoughts).format(table=slots["table"], note=solved[1])
        return f"{thought}\n\nAction: Operation\n```sql\n{solved[0]}\n```"

    def fault(self, slots: Slots, response: str) -> str | None:
        solved = self._solve(slots)
        assert solved is not None, "only solvable slots come here"
        action, block = _ACTION.search(response), _SQL_BLOCK.search(response)
        if action is None or action[1] != "Operation" or block is None:
            return "not the protocol's action"
        thought = response[: action.start()]
        if any(q != slots["table"] for q in _QUOTED.findall(thought)):
            return "thinks of another table"
        if stray := set(numbers_in(thought)) - set(numbers_in(slots["goal"])):
            return f"thinks of {min(stray)}"
        statement = block[1].replace("\n", " ")
        columns = tuple(slots["columns"].split(", "))
        for rows in _worlds(slots, solved[2]):
            wanted = effect(slots["table"], columns, rows, solved[0])
            if effect(slots["table"], columns, rows, statement) != wanted:
                return "the statement does something else"
        return None

    def worlds(self, slots: Slots) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Returns the rows of a task, and then these with more rows, where a similar statement has another effect."""
        solved = self._solve(slots)
        assert solved is not None, "only solvable slots come here"
        return _worlds(slots, solved[2])

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['table']}|{slots['rows'].lower()}"

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        solved = self._solve(slots)
        assert solved is not None, "only solvable slots come here"
        return f"# database\n{slots['table']} ({slots['columns']})\n{slots['rows']}\n{solved[1]}\n\n{response}"


def _worlds(slots: Slots, values: Slots) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Returns the given rows, and then these with more rows on which a similar statement would have another effect."""
    rows = tuple(tuple(line.split(", ")) for line in slots["rows"].split("\n"))
    a, n = values.get("a", "x"), int(values.get("n", "50"))
    more = (
        (a, "x", "1000"), ("y", a, "1001"), (a, a, "1002"), ("over", "higher", str(n + 1)), ("same", "equal", str(n)),
        ("under", "lower", str(n - 1)), ("z", "w", "0"), ("z", "w", "0"),
    )  # fmt: skip
    return rows, rows + more


FAMILIES: tuple[Family, ...] = (DatabaseAgent(),)
