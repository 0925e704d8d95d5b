"""BFCL's single-turn categories, on files made to the shape of its own."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.chat.tools.calls import ToolCall
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.conversation import (
    BfclConversation,
    read_python,
    tools_of,
)
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.matching import fault_of, normalized
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.tasks import BfclTask, read_bfcl
from synthetic_instruction_tuner.records import Message

PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "rate": {"type": "float"},
    "metric": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "point": {"type": "tuple", "items": {"type": "integer"}},
    "who": {"type": "dict", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}},
    "rooms": {"type": "array", "items": {"type": "dict"}},
    "any": {"type": "any"},
}


def function(name: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    parameters = {"type": "dict", "properties": PROPERTIES, "required": list(required)}
    return {"name": name, "description": "does it", "parameters": parameters}


def task(category: str, *answers: dict[str, Any], required: tuple[str, ...] = ()) -> BfclTask:
    functions = (function("weather.get", required), function("other"))
    return BfclTask(f"{category}_0", category, (Message("user", "q"),), functions, answers)


def made(name: str = "weather.get", **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)


@pytest.mark.parametrize(
    ("parameter", "allowed", "right", "wrong"),
    [
        ("city", ["New York, NY", "NYC"], ["new york NY", "nyc", "N.Y.C.", "New-York_NY"], ["York", 5, None, ["NYC"]]),
        ("city", ["O'Hare"], ['o"hare'], ["ohare"]),
        ("days", [3], [3], [3.0, "3", True, 4]),
        ("rate", [0.5, 2], [0.5, 2.0, 2], ["0.5", 3]),
        ("metric", [True], [True], ["True", 1, False]),
        ("tags", [["a b", "C"], ["x"]], [["AB", "c"], ["X"]], [["c", "a b"], "x", ["a b"], [1, 2]]),
        ("point", [[1, 2]], [[1, 2], (1, 2)], [[2, 1], ["1", "2"]]),
        ("who", [{"name": ["Ann", "A."], "age": ["", 5]}], [{"name": "ann"}, {"name": "a", "age": 5}],
         [{"name": "bob"}, {"age": 5}, {"name": "ann", "x": 1}, "ann"]),
        ("rooms", [[{"n": [1]}, {"n": [2]}]], [[{"n": 1}, {"n": 2}]], [[{"n": 2}, {"n": 1}], [{"n": 1}], [1, 2]]),
        ("any", ["x"], ["X"], [["x"]]),
        ("days", ["total_days"], ["total_days"], [3, "other"]),  # a variable's name
    ],
)  # fmt: skip
def test_values_are_matched_by_type(parameter: str, allowed: list[Any], right: list[Any], wrong: list[Any]) -> None:
    one = task("simple", {"weather.get": {parameter: allowed}})
    for value in right:
        assert fault_of(one, [made(**{parameter: value})]) == ""
    for value in wrong:
        assert fault_of(one, [made(**{parameter: value})]) != ""


def test_what_may_and_must_be_given() -> None:
    one = task("simple", {"weather.get": {"city": ["Rome"], "days": [1, ""]}}, required=("city",))
    assert fault_of(one, [made(city="Rome")]) == fault_of(one, [made(city="Rome", days=1)]) == ""
    assert fault_of(one, [ToolCall("weather_get", {"city": "Rome"})]) == ""  # names of tools often have no points
    for calls in (
        [],
        [made()],
        [made(days=1)],
        [made(city="Rome", rate=1.0)],
        [made(city="Rome", x=1)],
        [made("other", city="Rome")],
        [made(city="Rome")] * 2,
        [ToolCall("weather.get", fault="its arguments are no JSON")],
    ):
        assert fault_of(one, calls)
    missing = task("simple", {"weather.get": {"city": ["Rome"], "days": [1]}})
    assert "days" in fault_of(missing, [made(city="Rome")])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers())
def test_parallel_calls_are_matched_in_any_order(days: list[int], seed: int) -> None:
    answers = [{"weather.get": {"days": [day, day + 1]}} for day in days]
    calls = [made(days=day + k % 2) for k, day in enumerate(days)]
    random.Random(seed).shuffle(calls)
    one = task("parallel", *answers)
    assert fault_of(one, calls) == ""
    assert fault_of(one, calls[1:]) and fault_of(one, [*calls, calls[0]])
    assert fault_of(one, [made(days=99), *calls[1:]])


def test_one_call_is_not_two() -> None:
    one = task("parallel", {"weather.get": {"days": [1, 2]}}, {"weather.get": {"days": [1]}})
    assert fault_of(one, [made(days=1), made(days=2)]) == fault_of(one, [made(days=2), made(days=1)]) == ""
    assert fault_of(one, [made(days=2), made(days=2)])


def test_irrelevance_and_relevance() -> None:
    for category, none, some in (("irrelevance", True, False), ("live_relevance", False, True)):
        assert (fault_of(task(category), []) == "") is none
        assert (fault_of(task(category), [made(city="x")]) == "") is some


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('[weather.get(city="Rome", days=1)]', True),
        ("weather.get(city='rome', days=1)", True),
        ("```\n[weather.get(days=1, city='Rome')]\n```", True),
        ("I call [weather.get(city='Rome', days=1)]", False),
        ("[weather.get('Rome', 1)]", False),
        ("[weather.get(city=__import__('os').system('touch injected'), days=1)]", False),
        ("", False),
    ],
)
def test_calls_as_text(text: str, right: bool) -> None:
    one = BfclConversation(task("simple", {"weather.get": {"city": ["Rome"], "days": [1]}}))
    assert "weather.get" in one.messages[0].content and one.messages[-1] == Message("user", "q")
    one.take(text)
    assert one.outcome and one.outcome.right is right
    assert not Path("injected").exists()


HUGE = "0x" + "f" * 5_000
LITERALS = [
    *(HUGE, f"-{HUGE}", "1" + "0" * 400, "1" * 5_000, f"{HUGE}+1j", f"{{{HUGE}: 1}}", f"{{[{HUGE}]}}", f"[[{HUGE}]]"),
    *("nan", "1e999", "-1e999", "{[1]}", "{{1}}", "1+" * 3_000 + "1", "-" * 3_000 + "1", "[" * 150 + "]" * 150),
]


@pytest.mark.parametrize("written", LITERALS)
@pytest.mark.parametrize("parameter", PROPERTIES)
def test_any_literal_is_judged(parameter: str, written: str) -> None:
    one = BfclConversation(task("simple", {"weather.get": {parameter: [1.5]}}))
    one.take(f"[weather.get({parameter}={written})]")
    assert one.outcome and not one.outcome.right
    one.outcome.answer.encode()


def test_a_long_number_is_no_float() -> None:
    one = task("simple", {"weather.get": {"rate": [0.5]}})
    assert "rate" in fault_of(one, [made(rate=10**400)])
    assert fault_of(one, [made(rate=10**300)])


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    for category in ("simple", "parallel", "irrelevance"):
        answers = [] if category == "irrelevance" else [{"weather.get": {"city": ["zq"]}}]
        one = BfclConversation(task(category, *answers))
        one.take(text)
        assert one.outcome and one.outcome.right is (category == "irrelevance" and not read_python(text).calls)


@given(st.text(max_size=30))
def test_texts_are_normalized_once(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)
    assert not set(normalized(text)) & set(" ,./-_*^'")


def test_types_for_templates() -> None:
    (tool, _) = tools_of(task("simple"))
    found = tool["function"]["parameters"]
    assert found["type"] == "object"
    kinds = {name: one["type"] for name, one in found["properties"].items()}
    assert set(kinds.values()) == {"string", "integer", "number", "boolean", "array", "object"}
    assert found["properties"]["who"]["properties"]["type"] == {"type": "string"}  # a parameter with this name


# Files


def write(folder: Path, name: str, questions: list[Any], answers: list[Any] | None = None) -> Path:
    file = folder / name
    file.write_text("\n".join(map(json.dumps, questions)))
    if answers is not None:
        (folder / "possible_answer").mkdir(exist_ok=True)
        (folder / "possible_answer" / name).write_text("\n".join(map(json.dumps, answers)))
    return file


def question(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "question": [[{"role": "user", "content": "q"}]], "function": [function("f")]} | more


GROUND = [{"f": {"city": ["x"]}}]


def test_a_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path, "BFCL_v4_simple_python.json", [question("simple_python_0")],
          [{"id": "simple_python_0", "ground_truth": GROUND}])  # fmt: skip
    write(tmp_path, "BFCL_v3_live_multiple.json", [question("live_multiple_3-1-0", ground_truth=GROUND)])
    write(tmp_path, "BFCL_v3_irrelevance.json", [question("irrelevance_0", function=function("f"), question="q")])
    write(tmp_path, "BFCL_v4_multi_turn_base.json", [{"id": "multi_turn_base_0"}])
    tasks = read_bfcl([tmp_path])
    assert [one.category for one in tasks] == ["irrelevance", "live_multiple", "simple_python"]
    assert tasks[2].answers == tuple(GROUND)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (question("simple_0"), "no right answer"),
        (question("java_0", ground_truth=GROUND), "no single-turn category"),
        (question("simple_0", ground_truth=[{"g": {}}]), "no call of its functions"),
        (question("simple_0", ground_truth=[{"f": {"city": "x"}}]), "no call of its functions"),
        (question("simple_0", ground_truth=GROUND, question=[[], []]), "several turns"),
        (question("simple_0", ground_truth=GROUND, question=[[{"role": "x", "content": "y"}]]), "no role"),
        ({"id": "simple_0"}, "field 'function' is missing"),
        ([1], "task 0"),
        (5, "task 0"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, row: Any, why: str) -> None:
    file = write(tmp_path, "BFCL_v4_simple.json", [row])
    with pytest.raises(UserError) as caught:
        read_bfcl([file])
    assert why in caught.value.cause
    for text in ("{", "null", ""):
        file.write_text(text)
        with pytest.raises(UserError):
            read_bfcl([file])


def test_a_task_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "BFCL_v4_irrelevance.json", [question("irrelevance_0")])
    with pytest.raises(UserError, match="Two tasks"):
        read_bfcl([file, file])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        read_bfcl([tmp_path / "empty"])
