"""Files of tasks in which something is another value, or missing: each is read and played, or refused with a reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import KINDS, kind_of
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import BfclConversation
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import read_bfcl
from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import read_tasks as read_db
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import read_tasks as read_os

PARAMETERS = {
    "type": "dict",
    "properties": {"a": {"type": "integer"}, "d": {"type": "dict", "properties": {"x": {"type": "string"}}}},
    "required": ["a"],
}
WHOLE: dict[str, dict[str, Any]] = {
    "db": {
        "description": "q",
        "add_description": "a",
        "type": ["INSERT"],
        "label": ["INSERT INTO t VALUES (1, 2)"],
        "answer_md5": "x",
        "table": {
            "table_name": "t",
            "table_info": {"columns": [{"name": "a", "type": "TEXT"}, {"name": "b"}], "rows": [["1", "2"], ["3", 4]]},
        },
    },
    "os": {
        "description": "q",
        "create": {"init": [{"language": "python", "code": "x"}, "echo"]},
        "start": "cd /",
        "evaluation": {"check": [None, {"language": "python", "code": "y"}], "example": {"code": "echo 1"}},
    },
    "os pattern": {"description": "q", "evaluation": {"match": {"regex": "a+", "strip": False}}},
    "bfcl": {
        "id": "simple_0",
        "question": [[{"role": "user", "content": "q"}]],
        "function": [{"name": "f", "description": "d", "parameters": PARAMETERS}],
        "ground_truth": [{"f": {"a": [1], "d": [{"x": ["y"]}]}}],
    },
}
ODD = [
    *(None, "", 0, -1, 1.5, True, [], {}, [[]], [None], [1, 2], {"a": 1}, ["INSERT"], {"name": None}, 10**30),
    *("\ud800", "x" * 100, "`", "a`b;--", "(", "[", "\x00", float("nan")),
]


def paths(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths(one, (*way, key))


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, Any]:
    kind = draw(st.sampled_from(list(WHOLE)))
    row = copy.deepcopy(WHOLE[kind])
    for _ in range(draw(st.integers(1, 2))):
        way = draw(st.sampled_from(list(paths(row))))
        if not way:
            return kind, draw(st.sampled_from(ODD))
        place: Any = row
        for key in way[:-1]:
            place = place[key]
        if draw(st.booleans()) and draw(st.booleans()):
            del place[way[-1]]
        else:
            place[way[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return kind, row


def play(kind: str, file: Path) -> None:
    if kind.startswith("os"):
        read_os(file)
    elif kind == "db":
        for task in read_db(file):
            one = DbConversation(task, EmbeddedDatabase)
            one.take("x\nAction: Operation\n```sql\nSELECT * FROM t\n```")
            one.take("x\nFinal Answer: 1")
            one.close()
    else:
        for bfcl in read_bfcl([file]):
            for text in ('[f(a=1, d={"x": "y"})]', "[f(a=1, d=2)]", "[f()]", "no"):
                BfclConversation(bfcl).take(text)


@settings(max_examples=100)
@given(broken())
def test_a_broken_row_is_refused_with_a_reason_or_played(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str, Any]
) -> None:
    kind, row = case
    file = tmp_path_factory.getbasetemp() / "broken.json"
    file.write_text(json.dumps(row))
    assert kind_of(file) in KINDS
    try:
        play(kind, file)
    except UserError as error:
        assert error.cause
    except EnvironmentFailed as error:
        assert "cannot be made" in str(error)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_rows_are_read_in_every_form_of_file(tmp_path: Path, kind: str) -> None:
    row = WHOLE[kind]
    texts = [json.dumps(row), json.dumps([row]), json.dumps(row, indent=1), "\n" + json.dumps(row) + "\n\n"]
    for text in [*texts, "\ufeff" + json.dumps(row)]:
        file = tmp_path / "tasks.json"
        file.write_text(text, encoding="utf-8")
        assert kind_of(file) == kind.split()[0]
        play(kind, file)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}\n{"b": ', "line 2"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("[" * 100_000, "recursion"),
        ('[{"description": "\\ud800"}]', "surrogates"),
        ("", "no task"),
        ("[]", "no task"),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(text)
    kind_of(file)
    for read in (read_db, read_os, lambda one: read_bfcl([one])):
        with pytest.raises(UserError) as caught:
            read(file)
        assert why in caught.value.cause


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<a>x)(?P<a>y)"])
def test_a_pattern_that_is_none_is_found_when_it_is_read(tmp_path: Path, pattern: str) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"description": "q", "evaluation": {"match": {"regex": pattern}}}))
    with pytest.raises(UserError) as caught:
        read_os(file)
    assert "cannot be read" in caught.value.cause
