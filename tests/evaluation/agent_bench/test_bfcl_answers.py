"""Answers to BFCL: of anybody, in every form in which they are saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.saved_answers import read_answers, score_answers
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask
from synthetic_instruction_tuner.records import Message

FUNCTION = {
    "name": "math.area",
    "description": "d",
    "parameters": {
        "type": "dict",
        "properties": {"base": {"type": "integer"}, "unit": {"type": "string"}},
        "required": ["base"],
    },
}
TEXT, CALL = "[math.area(base=3)]", {"name": "math.area", "arguments": {"base": 3}}
PACKED = {"function": CALL | {"arguments": json.dumps(CALL["arguments"])}, "type": "function", "id": "c"}
RIGHT: list[dict[str, Any]] = [
    {"result": TEXT},
    {"response": f"<think>[math.area(base=4)]</think>\n{TEXT}"},
    {"responses": [TEXT]},
    {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": TEXT}]},
    {"result": [{"math.area": {"base": 3}}]},
    {"result": [{"math_area": json.dumps({"base": 3, "unit": "M"})}]},
    {"result": CALL},
    {"tool_calls": [PACKED]},
    {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [PACKED]}}]},
    {"message": {"role": "assistant", "content": "", "tool_calls": [PACKED]}},
]
WRONG: list[dict[str, Any]] = [
    {"result": "I cannot."},
    {"result": ""},
    {"result": []},
    {"result": "__import__('os').system('touch injected')"},
    {"result": [{"math.area": "{broken"}]},
    {"result": [{"math.area": {"base": 3.0}}]},
    {"result": [{"math.area": {"base": True}}]},
    {"result": [CALL, CALL]},
    {"tool_calls": [{"function": {}}]},
    {"messages": [{"role": "assistant", "content": None}]},
]


def task(name: str, *answers: int) -> BfclTask:
    category = name.rpartition("_")[0]
    allowed = tuple({"math.area": {"base": [base], "unit": ["m", ""]}} for base in answers)
    return BfclTask(name, category, (Message("user", "q"),), (FUNCTION,), allowed)


def write(file: Path, rows: Sequence[Any]) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize(("row", "right"), [(one, True) for one in RIGHT] + [(one, False) for one in WRONG])
def test_an_answer_in_any_form(tmp_path: Path, row: dict[str, Any], right: bool) -> None:
    found = read_answers(write(tmp_path / "a.jsonl", [row | {"id": "simple_python_0"}]))
    (result,) = score_answers([task("simple_python_0", 3), task("simple_python_1", 3)], found)
    assert result.outcome.right is right and bool(result.outcome.note) is not right
    assert result.by_tools is (found["simple_python_0"].calls is not None)
    (other,) = score_answers([task("irrelevance_0")], {"irrelevance_0": found["simple_python_0"]})
    assert other.outcome.right is (row in WRONG[:3] or row in WRONG[-2:])  # nothing is called


def test_a_text_beside_calls_of_tools_calls_nothing(tmp_path: Path) -> None:
    rows = [{"id": "simple_python_0", "result": [CALL]}, {"id": "simple_python_1", "result": TEXT}]
    tasks = [task("simple_python_0", 3), task("simple_python_1", 3)]
    assert [one.outcome.right for one in score_answers(tasks, read_answers(write(tmp_path / "a", rows)))] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no task"),
        ([5], "row 1 has no id"),
        ([{"id": 3, "result": ""}], "row 1 has no id"),
        ([{"id": "a", "result": "x"}, {"id": "a", "result": "x"}], "row 2 answers a for the second time"),
        ([{"id": "a"}], "neither text nor calls"),
        ([{"id": "a", "result": 5}], "neither text nor calls"),
        ([{"id": "a", "result": ["x", "y"]}], "neither text nor calls"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, rows: list[Any], why: str) -> None:
    with pytest.raises(UserError, match="no file of answers to BFCL") as caught:
        read_answers(write(tmp_path / "a.jsonl", rows))
    assert why in caught.value.cause
