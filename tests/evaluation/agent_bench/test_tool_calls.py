"""Tasks played by calls of tools: what a call does, what is said back, and how it is scored."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxes import KINDS, sandbox

from synthetic_instruction_tuner.chat.rendering import TurnsRejected
from synthetic_instruction_tuner.chat.tools.calls import Said, ToolCall
from synthetic_instruction_tuner.chat.tools.forms import JsonForm
from synthetic_instruction_tuner.chat.tools.template import Tool
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import ToolAgent
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.scoring import is_right
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.db.tolerant_scoring import is_about_right
from synthetic_instruction_tuner.evaluation.agent_bench.db.tool_conversation import DbToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import Match, OsTask, Script
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tool_conversation import OsToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn, play
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.conversation import MOST_CALLS, NO_CALL, TOO_MANY
from synthetic_instruction_tuner.evaluation.agent_bench.tool_calls.tools import DB_TOOLS, OS_TOOLS
from synthetic_instruction_tuner.records import Message

FORM = JsonForm("<call>", ("name",), ("arguments",))


def read(text: str, tools: Sequence[Tool]) -> Said:
    return FORM.read(text, {})


def call(name: str, **arguments: object) -> str:
    return f"I think.\n<call>{json.dumps({'name': name, 'arguments': arguments})}</call>"


def conversation(task: DbTask, rounds: int = 15) -> DbToolConversation:
    return DbToolConversation(task, EmbeddedDatabase, read, rounds)


def test_the_tools_are_agentbenchs() -> None:
    names = {one["function"]["name"]: list(one["function"]["parameters"]["required"]) for one in (*DB_TOOLS, *OS_TOOLS)}
    assert names == {
        "execute_sql": ["query"],
        "commit_final_answer": ["answers"],
        "bash_action": ["script"],
        "finish_action": ["thought"],
        "answer_action": ["answer"],
    }


def test_a_question_is_looked_up_and_answered(scores: DbTask) -> None:
    one = conversation(scores)
    assert [message.role for message in one.messages] == ["tools", "system", "user"]
    assert json.loads(one.messages[0].content) == list(DB_TOOLS)
    one.take(call("execute_sql", query="SELECT Name\nFROM `Score Table` WHERE Year = 2001"))
    assert one.messages[-1] == Message("tool", "[('Ann',)]")
    one.take(call("commit_final_answer", answers=["Ann"]))
    assert one.outcome and (one.outcome.end, one.outcome.right, one.outcome.invalid_calls) == (End.COMPLETED, True, 0)


def test_what_cannot_be_done_is_said_back_and_counted(scores: DbTask) -> None:
    one = conversation(scores)
    for text, role, says in (
        ("I do not know.", "user", NO_CALL),
        ("<call>{broken</call>", "tool", "cannot be read"),
        (call("drop_all", x=1), "tool", "there is no tool drop_all"),
        (call("execute_sql"), "tool", "no argument"),
        (call("commit_final_answer"), "tool", "no argument"),
    ):
        one.take(text)
        assert one.outcome is None
        assert one.messages[-1].role == role and says in one.messages[-1].content
    one.take(call("execute_sql", statement="SELECT 1") + call("commit_final_answer", answer="Ann") + call("x", y=1))
    assert one.messages[-1].content == "[(1,)]"  # the first argument counts, whatever it is called
    assert one.outcome and one.outcome.right and one.outcome.invalid_calls == 5


def test_what_an_agent_says_can_be_written(scores: DbTask) -> None:
    """JSON can name halves of characters, which no file takes."""
    half = chr(92) + "ud800"
    for name, answers in (("commit_final_answer", f'"{half}"'), (half, "1"), ("execute_sql", f'"SELECT {half}"')):
        one = conversation(scores, rounds=1)
        one.take(f'{chr(0xD800)}<call>{{"name": "{name}", "arguments": {{"a": {answers}}}}}</call>')
        assert one.outcome
        for text in (one.outcome.answer, one.outcome.note, *(message.content for message in one.messages)):
            text.encode("utf-8")


def test_a_turn_of_very_many_calls_does_the_first_of_them(scores: DbTask) -> None:
    one = conversation(scores)
    one.take(call("execute_sql", query="INSERT INTO `Score Table` (Name) VALUES ('x')") * (MOST_CALLS + 3))
    assert [message.content for message in one.messages[-3:]] == [TOO_MANY] * 3
    one.take(call("execute_sql", query="SELECT COUNT(*) FROM `Score Table`"))
    assert one.messages[-1].content == f"[({len(scores.rows) + MOST_CALLS},)]"


def test_a_change_counts_once_it_is_handed_in(scores: DbTask) -> None:
    sql = "UPDATE `Score Table` SET Year = '5' WHERE Name = 'Ann'"
    database = EmbeddedDatabase(scores)
    database.execute(sql)
    task = replace(scores, kind="UPDATE", answer_md5=database.table_hash(), label=(sql,))
    for committed in (True, False):
        one = conversation(task, rounds=2)
        one.take(call("execute_sql", query=sql))
        one.take(call("commit_final_answer", answers=["done"]) if committed else "Done.")
        assert one.outcome
        assert (one.outcome.end, one.outcome.right) == ((End.COMPLETED, True) if committed else (End.TASK_LIMIT, False))


def test_gold_calls_solve_the_dev_set_and_silence_none_of_it(dev_tasks: list[DbTask]) -> None:
    def gold(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        turns = []
        for messages in conversations:
            task = next(one for one in dev_tasks if messages[2].content == f"{one.about}\nQuestion: {one.question}")
            acts = task.changes and len(messages) == 3
            name, given = ("execute_sql", task.label[0]) if acts else ("commit_final_answer", list(task.label))
            turns.append(Turn(call(name, x=given)))
        return turns

    def solved(agent: object) -> int:
        found = dict(play(dev_tasks, conversation, agent))  # type: ignore[arg-type]
        return sum(one.outcome.right for one in found.values() if one.outcome)

    assert solved(gold) == len(dev_tasks)
    assert solved(lambda conversations: [Turn("") for _ in conversations]) == 0


OS_TASKS = [
    OsTask("a", "Which word is in the file?", (Script("bash", "echo blue > /word"),), match=Match("blue")),
    OsTask("b", "Make the folder.", (), check=(Script("bash", "test -d /made"),)),
]


@pytest.mark.parametrize("kind", KINDS)
def test_calls_in_a_shell_do_what_they_say(kind: str) -> None:
    """The first task is answered with what a command printed, the second is done; silence solves neither."""
    machines = sandbox(kind)

    def gold(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        turns = []
        for messages in conversations:
            asks, seen = messages[2].content == OS_TASKS[0].question, messages[-1].content
            if len(messages) == 3:
                turns.append(Turn(call("bash_action", script="cat /word" if asks else "cd / && mkdir made")))
            else:
                done = call("answer_action", answer=seen.split()[-1]) if asks else call("finish_action", thought="done")
                turns.append(Turn(done))
        return turns

    def solved(agent: object) -> list[bool]:
        found = dict(play(OS_TASKS, lambda task: OsToolConversation(task, machines.open, read, 3), agent))  # type: ignore[arg-type]
        return [bool((one := found[k].outcome) and one.right) for k in range(len(OS_TASKS))]

    assert solved(gold) == [True, True]
    assert solved(lambda conversations: [Turn("") for _ in conversations]) == [False, False]


@pytest.mark.parametrize(
    ("label", "answer", "right"),
    [
        (["12,000"], ["12000"], True),
        (["50%"], "50", True),
        (["5"], "5.004", True),
        (["5"], 5, True),
        (["5"], ["5.1"], False),
        (["0"], [None], True),
        (["nan"], ["0"], True),
        (["Ann"], "Ann", True),
        (["Ann"], "['Ann']", True),
        (["Ann"], "[('Ann',)]", True),
        (["Ann"], '"Ann"', True),
        (["Ann"], "ann", False),
        (["Ann", "Bob"], ["Bob", "Ann"], True),
        (["Ann", "Bob"], "[Bob, Ann]", True),
        (["Ann", "Bob"], ["Ann"], False),
        (["1", "2"], ["2.001", "0.999"], True),
        (["1", "2"], ["1", "1"], False),
        (["1", "1"], ["1"], False),
        (["x"], "__import__('os').system('touch injected')", False),
        (["x"], {"a": "x"}, True),
        (["x"], [["x"]], True),
    ],
)
def test_answers_are_compared_with_tolerance(label: list[str], answer: object, right: bool) -> None:
    assert is_about_right(label, answer) is right


@given(st.recursive(st.none() | st.text() | st.floats() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_any_answer_can_be_compared(answer: object) -> None:
    assert is_about_right(["zq"], answer) in (True, False)
    assert is_about_right(["12"], answer) in (True, False)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_the_label_is_always_right(label: list[str]) -> None:
    assert is_about_right(label, label)
    assert is_about_right(label, label[::-1])


def test_a_call_with_a_fault_has_no_arguments() -> None:
    assert ToolCall("x", fault="why").arguments == {}
    assert ast.literal_eval(repr(dict(ToolCall("x").arguments))) == {}


class Stub:
    """An engine, a template and its way with tools at once: texts are their own tokens."""

    stop_ids = (0,)

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        if messages[-1].content == "reject":
            raise TurnsRejected("no", "", "")
        if messages[-1].content == "fail":
            raise OverflowError
        assert [one["function"]["name"] for one in tools] == ["execute_sql", "commit_final_answer"]
        return list(map(ord, messages[-1].content))

    def decode(self, ids: Sequence[int], prompt: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion(request.prompt_ids, "stop") for request in requests]


def test_a_model_is_asked_with_the_tools_and_a_rejected_conversation_ends_alone() -> None:
    stub, tools = Stub(), Message("tools", json.dumps(list(DB_TOOLS)))
    model = ToolAgent(stub, stub, stub, max_new_tokens=5, longest=20)  # type: ignore[arg-type]
    turns = model([[tools, Message("user", text)] for text in ("abc", "reject", "fail", "x" * 16)])
    assert [turn.text for turn in turns] == ["abc", "", "", ""]
    assert [bool(turn.overflow) for turn in turns] == [False, True, True, True]
    assert "rejects" in turns[1].overflow and "rejects" in turns[2].overflow


@pytest.mark.parametrize("digits", [400, 5_000])
def test_an_answer_of_very_many_digits_is_wrong(scores: DbTask, digits: int) -> None:
    number, sixteen = "1" + "0" * digits, "0x" + "f" * digits
    for text in (f"[{number}]", f"[{sixteen}]", f"[{sixteen}+1j]", f"[[{sixteen}], 1]", f"{{{sixteen}}}", number):
        assert not is_about_right(["5"], text)
        assert not is_right(replace(scores, label=("5",)), text) and not is_right(scores, text)
    one = conversation(scores)
    one.take(f'<call>{{"name": "commit_final_answer", "arguments": {{"answers": [{number}]}}}}</call>')
    assert one.outcome is None or not one.outcome.right  # a JSON number that Python does not read is said back
