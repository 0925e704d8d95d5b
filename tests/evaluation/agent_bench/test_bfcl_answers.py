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
    {"response": "", "tool_calls": [PACKED]},
    {"response": "I call it.", "tool_calls": [PACKED]},
    {"tool_calls": [], "result": "\n", "output": TEXT},
    {
        "message": {"role": "assistant", "content": "", "tool_calls": []},
        "choices": [{"message": {"tool_calls": [PACKED]}}],
    },
    {
        "messages": [
            {"role": "assistant", "content": [{"type": "text", "text": TEXT[:5]}, {"type": "text", "text": TEXT[5:]}]}
        ]
    },
    {"message": {"content": [{"type": "thinking", "thinking": "?"}, {"type": "text", "text": TEXT}]}},
    {
        "message": {
            "content": [
                {"type": "text", "text": "I call it."},
                {"type": "tool_use", "name": "math_area", "input": {"base": 3}},
            ]
        }
    },
    {
        "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I call it."}]},
            {"type": "function_call", **PACKED["function"]},
        ]
    },
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
    found = read_answers(write(tmp_path / "a.jsonl", [row | {"id": "simple_python_0"}])).by_task
    (result,) = score_answers([task("simple_python_0", 3), task("simple_python_1", 3)], found)
    assert result.outcome.right is right and bool(result.outcome.note) is not right
    assert result.by_tools is bool(found["simple_python_0"].calls)
    (other,) = score_answers([task("irrelevance_0")], {"irrelevance_0": found["simple_python_0"]})
    assert other.outcome.right is (row in WRONG[:3] or row in WRONG[-2:])  # nothing is called


def test_a_text_beside_calls_of_tools_calls_nothing(tmp_path: Path) -> None:
    rows = [{"id": "simple_python_0", "result": [CALL]}, {"id": "simple_python_1", "result": TEXT}]
    tasks = [task("simple_python_0", 3), task("simple_python_1", 3)]
    assert [one.outcome.right for one in score_answers(tasks, read_answers(write(tmp_path / "a", rows)).by_task)] == [
        True,
        False,
    ]


def test_no_call_of_tools_makes_no_answer_one_by_calls_of_tools(tmp_path: Path) -> None:
    rows = [{"id": "simple_python_0", "tool_calls": []}, {"id": "simple_python_1", "result": TEXT}]
    found = read_answers(write(tmp_path / "a", rows)).by_task
    results = score_answers([task("simple_python_0", 3), task("simple_python_1", 3)], found)
    assert [one.outcome.right for one in results] == [False, True]


OTHERS = {
    "BFCL_v4_multi_turn_base_result.json": [{"id": "multi_turn_base_0", "result": [["[f(a=1)]"]]}],
    "BFCL_v4_simple_java_result.json": [{"id": "simple_java_0", "result": "f(1)"}, {"id": "simple_java_1"}],
    "BFCL_v4_memory_kv_result.json": [{"id": "memory_kv_0-customer-0", "result": [[["x"]]]}],
    "memory_snapshot/customer.json": [{"core_memory": {}}],
}


def test_files_of_other_categories_in_a_folder_are_skipped(tmp_path: Path) -> None:
    for name, rows in OTHERS.items():
        write(tmp_path / name, rows)
    with pytest.raises(UserError, match="no file of answers") as caught:
        read_answers(tmp_path)
    assert "none of its files is of a single-turn category" in caught.value.cause
    write(tmp_path / "BFCL_v4_live_simple_result.json", [{"id": "live_simple_0-0-0", "result": TEXT}])
    found = read_answers(tmp_path)
    assert set(found.by_task) == {"live_simple_0-0-0"}
    assert {one.name for one in found.skipped} == {Path(name).name for name in OTHERS}
    with pytest.raises(UserError):  # what is named itself is not skipped
        read_answers(tmp_path / "BFCL_v4_multi_turn_base_result.json")
    write(tmp_path / "broken.json", [{"id": "simple_python_0", "result": TEXT}, {"id": "simple_python_1"}])
    with pytest.raises(UserError) as caught:
        read_answers(tmp_path)
    assert "row 2 has neither text nor calls" in caught.value.cause


@pytest.mark.parametrize("depth", [50, 500, 900])
def test_answers_that_loop_cost_their_own_task(tmp_path: Path, depth: int) -> None:
    nested: Any = 3
    for _ in range(depth):
        nested = [nested]
    long = 10**400
    bad = [nested, {"a": [long]}, long, float("inf"), float("nan")]
    rows: list[Any] = [[{"math.area": {"base": value}}] for value in bad]
    rows += [[{"math.area": json.dumps({"base": value})}] for value in bad]
    rows.append([{"math.area": '{"base": 1' + "0" * 5_000 + "}"}])
    rows.append([CALL])
    written = [{"id": f"simple_python_{k}", "result": row} for k, row in enumerate(rows)]
    found = read_answers(write(tmp_path / "a", written)).by_task
    results = score_answers([task(f"simple_python_{k}", 3) for k in range(len(rows))], found)
    assert [one.outcome.right for one in results] == [False] * (len(rows) - 1) + [True]


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
