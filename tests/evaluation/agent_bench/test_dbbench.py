"""DBBench: the protocol word for word, its scores, and agents that know the answers or must not score."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_agents import NEGATIVE, Script, agent, answer, gold, operation

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation, instructions
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase, cut, first_rows, printed
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import is_right, table_hash
from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask, read_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, play


def played(tasks: list[DbTask], script: Script, open_database: OpenDatabase = EmbeddedDatabase) -> list[Played]:
    found: dict[int, Played] = {}
    for number, one in play(tasks, lambda task: DbConversation(task, open_database), agent(tasks, script)):
        found[number] = one
    return [found[number] for number in range(len(tasks))]


def conversation(task: DbTask, *turns: str, rounds: int = 15) -> DbConversation:
    one = DbConversation(task, EmbeddedDatabase, rounds)
    for text in turns:
        assert one.outcome is None
        one.take(text)
    return one


# Gold and negative agents


def test_the_gold_agent_solves_every_task_of_the_dev_set(dev_tasks: list[DbTask]) -> None:
    wrong = [t.id for t, one in zip(dev_tasks, played(dev_tasks, gold), strict=True) if not _right(one)]
    assert wrong == []


def test_the_gold_agent_solves_every_task_of_the_dev_set_on_mariadb(
    dev_tasks: list[DbTask], mariadb: ServerAddress
) -> None:
    outcomes = [one.outcome for one in played(dev_tasks, gold, mariadb.database)]
    wrong = [(task.id, one) for task, one in zip(dev_tasks, outcomes, strict=True) if one is None or not one.right]
    assert wrong == []


@pytest.mark.parametrize("script", NEGATIVE)
def test_an_agent_that_does_no_work_scores_nothing(
    script: Script, dev_tasks: list[DbTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not any(map(_right, played(dev_tasks[::6], script)))
    assert list(tmp_path.iterdir()) == []  # nothing was run


def _right(one: Played) -> bool:
    assert one.outcome is not None
    return one.outcome.right


# The protocol


def test_the_conversation_begins_with_the_protocols_words(scores: DbTask) -> None:
    first = conversation(scores).messages
    assert [message.role for message in first] == ["user", "assistant", "user"]
    assert first[1].content == "Ok."
    assert first[2].content == "Who?\nThe table is Score Table."
    assert first[0].content == instructions()
    # The hash of AgentBench's text: one changed character makes it another benchmark.
    assert hashlib.sha256(instructions().encode()).hexdigest()[:16] == "b4d40c8bfe1e9ea9"


def test_only_the_first_block_is_executed_as_one_line(scores: DbTask) -> None:
    blocks = ["SELECT Name\nFROM `Score Table`\nLIMIT 1", "DROP TABLE `Score Table`"]
    text = "Action: Operation\n" + "\n".join(f"```sql\n{block}\n```" for block in blocks)
    one = conversation(scores, text, operation("SELECT COUNT(*) FROM `Score Table`"))
    assert [m.content for m in one.messages if m.role == "user"][2:] == ["[('Ann',)]", "[(3,)]"]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Action: Operation\nSELECT 1", End.INVALID_ACTION),
        ("Action: Operation\n```SQL\nSELECT 1\n```", End.INVALID_ACTION),
        ("Action: Answer\nIt is Ann.", End.INVALID_ACTION),
        ("action: operation\n```sql\nSELECT 1\n```", End.INVALID_ACTION),
        ("Final Answer: ['Ann']", End.INVALID_ACTION),  # on the first line
        ("", End.INVALID_ACTION),
        ("Hm.\nFinal Answer: ['Ann']", End.COMPLETED),  # without an action
        ("Action: Answer\nFinal Answer: ['Ann']\nand more", End.COMPLETED),
        ("Action: Finish\nFinal Answer:", End.COMPLETED),
    ],
)
def test_how_a_turn_is_read(text: str, end: End, scores: DbTask) -> None:
    outcome = conversation(scores, text).outcome
    assert outcome is not None
    assert outcome.end is end


@given(st.integers(1, 4))
def test_after_the_last_operation_only_an_answer_counts(rounds: int) -> None:
    task = DbTask("x", "q", "a", "other", "t", ("a",), (("1",),), ("1",))
    turns = [operation("SELECT a FROM t")] * rounds
    asking = conversation(task, *turns, rounds=rounds)
    assert asking.outcome is None
    asking.take(operation("SELECT a FROM t"))
    assert asking.outcome is not None
    assert (asking.outcome.end, asking.outcome.right) == (End.TASK_LIMIT, False)
    ended = conversation(task, *turns, answer('["1"]'), rounds=rounds).outcome
    assert ended is not None
    assert ended.right


def test_a_change_is_judged_by_the_table_whatever_is_said(scores: DbTask) -> None:
    rows = [*(list(row) for row in scores.rows), ["Dan", "1", "2", "x"]]
    task = replace(scores, kind="INSERT", answer_md5=table_hash(rows))
    insert = operation("INSERT INTO `Score Table` VALUES ('Dan', 1, 2, 'x')")
    for last in (answer("anything"), "no format at all", ""):
        outcome = conversation(task, insert, last).outcome
        assert outcome is not None
        assert outcome.right
    for last in (answer("anything"), "", operation("SELECT 1").replace("sql", "")):
        outcome = conversation(task, last).outcome
        assert outcome is not None
        assert not outcome.right


# What the agent sees


@given(st.lists(st.tuples(st.text(max_size=40), st.integers() | st.none()), max_size=200))
def test_a_result_is_pythons_list_cut_at_800_characters(rows: list[tuple[str, int | None]]) -> None:
    whole = str(rows)
    assert printed(rows) == (whole if len(whole) <= 800 else whole[:800] + "[TRUNCATED]")
    assert printed(first_rows(iter(rows))) == printed(rows)
    assert cut("x" * 801) == "x" * 800 + "[TRUNCATED]"


# Scores


@pytest.mark.parametrize(
    ("given_answer", "label", "right"),
    [
        ('["Ann"]', ["Ann"], True),
        (' ["Ann"]', ["Ann"], True),
        ('["ann"]', ["Ann"], False),
        ('["Ann "]', ["Ann"], False),
        ("Ann", ["Ann"], True),
        (" Ann", ["Ann"], False),
        (" 5", ["5.0"], True),
        ("[5]", ["5.0"], True),
        ('["5"]', ["5.00"], True),
        ('["b", "a", "a"]', ["a", "b"], True),
        ('["a"]', ["a", "b"], False),
        ("('a', 'b')", ["a", "b"], True),
        ('"ab"', ["a", "b"], True),  # a text is a list of its characters, as in AgentBench
        ("[None]", ["none"], False),
        ('["none"]', ["none"], True),
        ("[[1], [2]]", ["a", "b"], False),
        ("", ["none"], False),
        ("[nan]", ["nan"], False),
        ("[" * 5000, ["x"], False),
        ("9" * 5000, ["x"], False),
        ('["1e999"]', ["inf"], True),
    ],
)
def test_answers(given_answer: str, label: list[str], right: bool) -> None:
    task = DbTask("x", "q", "a", "other", "t", ("a",), (), tuple(label))
    assert is_right(task, given_answer) is right


@given(st.lists(st.text(), min_size=1), st.randoms())
def test_the_label_as_a_list_is_right_in_any_order(label: list[str], random: object) -> None:
    task = DbTask("x", "q", "a", "other", "t", ("a",), (), tuple(label))
    shuffled = list(label)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert is_right(task, repr(shuffled)) or label == ["nan"] or _is_nan(label)


def _is_nan(label: list[str]) -> bool:
    try:
        return len(label) == 1 and float(label[0]) != float(label[0])
    except ValueError:
        return False


@given(st.text(max_size=200))
def test_reading_an_answer_never_runs_it(text: str) -> None:
    task = DbTask("x", "q", "a", "other", "t", ("a",), (), ("x",))
    is_right(task, text)
    assert not is_right(task, f"[print({text!r}), 'x'][1:]")


def test_the_hash_ignores_the_order_of_rows_and_skips_null() -> None:
    rows = [["a", None, "b"], ["c", "d", "e"]]
    assert table_hash(rows) == table_hash(rows[::-1])
    assert table_hash([["a", "b", None]]) == table_hash([["a", None, "b"]])
    assert ast.literal_eval(table_hash(rows))[0][0] != ast.literal_eval(table_hash(rows[:1]))[0][0]
    assert table_hash([]) == "[(None,)]"


# Files of tasks


def test_a_broken_file_of_tasks_is_named(tmp_path: Path) -> None:
    good = {
        "description": "q",
        "add_description": "a",
        "type": ["other"],
        "label": ["x"],
        "table": {"table_name": "t", "table_info": {"columns": [{"name": "a"}], "rows": [["1"]]}},
    }
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps(good) + "\n\n" + json.dumps(good))
    assert [task.id for task in read_tasks(file)] == ["db-0000", "db-0001"]
    file.write_text(json.dumps([good]))
    assert len(read_tasks(file)) == 1
    table = good["table"]
    assert isinstance(table, dict)
    broken = [
        {k: v for k, v in good.items() if k != "table"},
        good | {"type": []},
        good | {"type": ["INSERT"]},
        good | {"description": 5},
        good | {"table": {"table_name": "t", "table_info": {"columns": [], "rows": []}}},
        good | {"table": {"table_name": "t", "table_info": {"columns": [{"name": "a"}], "rows": [["1", "2"]]}}},
        good | {"table": {"table_name": "t", "table_info": {"columns": [{"name": "a"}, {"name": "A"}], "rows": []}}},
        [1],
        "text",
    ]
    for row in broken:
        file.write_text(json.dumps(good) + "\n" + json.dumps(row))
        with pytest.raises(UserError, match="no file of DBBench tasks") as caught:
            read_tasks(file)
        assert "task 1" in caught.value.cause
    for text in ("", "{", "[]", "null\n"):
        file.write_text(text)
        with pytest.raises(UserError):
            read_tasks(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_tasks(tmp_path / "none")
