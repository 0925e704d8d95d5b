"""What is large: an agent that says a megabyte, and a table with a hundred thousand rows."""

from __future__ import annotations

import hashlib

import pytest

from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation, operation
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import SHOWN
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.actions import Kind, read

MEGABYTE = 1 << 20
TABLE = DbTask("db-0000", "How many?", "The table is t.", "counting", "t", ("a",), (("1",),), ("1",))
TURNS = {
    "letters": "x" * MEGABYTE,
    "actions": "Action: " * (MEGABYTE // 8),
    "blocks": "Action: Operation\n" + "```sql\n" * (MEGABYTE // 7),
    "answers": "\nFinal Answer:" * (MEGABYTE // 14),
    "brackets": "x\nFinal Answer: " + "[" * MEGABYTE,
    "a number": "x\nFinal Answer: " + "9" * MEGABYTE,
    "a list": "x\nFinal Answer: [" + "1," * (MEGABYTE // 2) + "]",
    "a literal": f"Action: Operation\n```sql\nSELECT '{'x' * MEGABYTE}'\n```",
    "a condition": "Action: Operation\n```sql\nSELECT a FROM t WHERE " + "a=1 OR " * (MEGABYTE // 70) + "a=2\n```",
    "parentheses": "Action: Operation\n```sql\nSELECT " + "(" * (MEGABYTE // 8) + "\n```",
}


@pytest.mark.parametrize("kind", TURNS)
def test_a_turn_of_a_megabyte_is_taken_like_any_other(kind: str) -> None:
    conversation = DbConversation(TABLE, EmbeddedDatabase)
    try:
        conversation.take(TURNS[kind])
        outcome = conversation.outcome
        assert outcome is None or (not outcome.right and outcome.end in (End.INVALID_ACTION, End.COMPLETED))
        if outcome is None:
            assert conversation.messages[-1].role == "user" and len(conversation.messages[-1].content) < SHOWN + 20
            conversation.take("x\nFinal Answer: 1")
            assert conversation.outcome is not None and conversation.outcome.right
    finally:
        conversation.close()


@pytest.mark.parametrize(
    "piece", ["Act: bash\n", "```bash\n", "Act: answer(", "Act:\n", "\n```", "Act: bash ```bash\n"]
)
def test_a_turn_of_a_megabyte_is_an_action_or_none(piece: str) -> None:
    action = read(piece * (MEGABYTE // len(piece)))
    assert action is None or action.kind in Kind


def test_blocks_of_bash_are_those_of_the_protocol() -> None:
    text = "Act: bash\n```bash\na\n```\n```bash\n\n```\n```bash\nb\nc\n```\n```bash\nd"
    action = read(text)
    assert action is not None and action.content == "a\n\n\n\nb\nc"


def test_the_first_block_of_an_operation_is_taken() -> None:
    assert operation("Action: Operation\n```sql\nA\nB\n```\n```sql\nC\n```") == "A B"
    assert operation("```sql\nA\n```\nAction: Operation\n") == "A"
    assert operation("Action: Operation\n```sql\nA") is None
    assert operation("Action: Operation") is None
    assert operation("Action: Answer\nAction: Operation\n```sql\nA\n```") is None


def test_a_table_of_a_hundred_thousand_rows_is_a_table() -> None:
    rows = tuple((str(k),) for k in range(100_000))
    task = DbTask("db-0001", "How many?", "", "UPDATE", "t", ("a",), rows, ("UPDATE t SET a = 'x'",), "[('x',)]")
    conversation = DbConversation(task, EmbeddedDatabase)
    try:
        conversation.take("Action: Operation\n```sql\nSELECT COUNT(*) FROM t\n```")
        assert conversation.messages[-1].content == "[(100000,)]"
        conversation.take("Action: Operation\n```sql\nSELECT * FROM t\n```")
        assert conversation.messages[-1].content.endswith("[TRUNCATED]")
        conversation.take("x\nFinal Answer: done")
    finally:
        conversation.close()
    hashes = sorted(hashlib.md5(cell.encode()).hexdigest()[:5] for (cell,) in rows)
    whole = hashlib.md5(",".join(hashes)[:1024].encode()).hexdigest()
    assert conversation.outcome is not None and conversation.outcome.answer == f"[('{whole}',)]"
