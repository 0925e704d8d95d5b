"""The nano world's agent tasks: the gold agent solves all, negative agents none, and luck does not help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import (
    AGENTS,
    NANO_DB_TASKS,
    NANO_OS_TASKS,
    agent_benchmark,
)
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End
from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import (
    NanoDbConversation,
    NanoDbTask,
    nano_db_tasks,
)
from synthetic_instruction_tuner.evaluation.agent_bench.nano.shell import NanoOsConversation, nano_os_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, Turn, play
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox, Sandbox, choose
from synthetic_instruction_tuner.evaluation.agent_bench.task import spread
from synthetic_instruction_tuner.nano.world.families.shell_agent import OS_GOALS, ShellAgent
from synthetic_instruction_tuner.nano.world.families.sql_agent import DatabaseAgent
from synthetic_instruction_tuner.nano.world.family import split_of
from synthetic_instruction_tuner.records import Message

TASKS = nano_db_tasks(NANO_DB_TASKS)
NEGATIVE = {
    "silent": "",
    "thinking": "I think one step is enough here.",
    "looping": "I look.\n\nAction: Operation\n```sql\nSELECT * FROM nothing;\n```",
    "unfenced": "Action: Operation\nSELECT COUNT(*) FROM lamp;",
    "answering": "Action: Answer\nFinal Answer: 1",
    "injecting": "Final Answer: __import__('os').system('true')",
    "shell": "Think: x\n\nAct: bash\n\n```bash\ntrue\n```",
    "finishing": "Think: x\n\nAct: finish",
    "guessing": "Think: x\n\nAct: answer(3)",
}


def saying(text: str) -> Callable[[Sequence[Sequence[Message]]], list[Turn]]:
    return lambda conversations: [Turn(text) for _ in conversations]


def played(tasks: Sequence[NanoDbTask], *says: str) -> list[Played]:
    """Plays with an agent that says these texts in turn, the last one again and again."""

    def agent(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        turns = [sum(m.role == "assistant" for m in messages) for messages in conversations]
        return [Turn(says[min(turn, len(says) - 1)]) for turn in turns]

    return list(dict(play(tasks, lambda task: NanoDbConversation(task, EmbeddedDatabase), agent)).values())


def test_there_are_enough_tasks_of_each_kind_and_all_are_held_out() -> None:
    assert len(TASKS) >= 60 and len({task.prompt for task in TASKS}) == len(TASKS)
    assert set(Counter(task.group for task in TASKS).values()) == {len(TASKS) // 3}
    family = DatabaseAgent()
    for task in TASKS:
        parsed = family.parse(task.prompt)
        assert parsed and split_of(family.key(*parsed)) == "eval"
    assert nano_db_tasks(10) == TASKS[:10]


def test_the_gold_agent_solves_every_database_task() -> None:
    by_prompt = {task.prompt: task.answer for task in TASKS}

    def gold(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        return [Turn(by_prompt[messages[0].content]) for messages in conversations]

    ended = dict(play(TASKS, lambda task: NanoDbConversation(task, EmbeddedDatabase), gold))
    assert [TASKS[k].id for k, one in ended.items() if not (one.outcome and one.outcome.right)] == []


@pytest.mark.parametrize("kind", NEGATIVE)
def test_negative_agents_solve_no_database_task(kind: str) -> None:
    ended = played(TASKS[:24], NEGATIVE[kind])
    assert all(one.outcome and not one.outcome.right for one in ended)
    assert len({one.outcome.end for one in ended if one.outcome}) == 1


def test_luck_on_the_table_that_is_shown_is_no_solution() -> None:
    """The right values, written down instead of looked up."""
    lucky = 0
    for task in (task for task in TASKS if task.group == "SELECT"):
        database = EmbeddedDatabase(task.shown)
        value = database.execute(task.statement)[2:-2].split("), (")[0].rstrip(",")
        database.close()
        (one,) = played([task], f"Action: Operation\n```sql\nSELECT {value.removeprefix('Decimal')};\n```")
        assert one.outcome and not one.outcome.right
        lucky += one.outcome.end is End.COMPLETED
    assert lucky > 10


def test_after_an_error_the_agent_may_try_again_but_not_for_ever() -> None:
    task, wrong = TASKS[0], NEGATIVE["looping"]
    (one,) = played([task], wrong, task.answer)
    assert one.outcome and one.outcome.right and "doesn't exist" in one.messages[2].content
    (one,) = played([task], wrong)
    assert one.outcome and one.outcome.end is End.TASK_LIMIT and len(one.turns) == 3


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return choose()
    except NoSandbox as error:
        pytest.skip(f"{error.problem} {error.cause}")


def test_the_shell_tasks_have_every_goal_and_are_held_out() -> None:
    tasks, family = nano_os_tasks(NANO_OS_TASKS), ShellAgent()
    assert len(tasks) >= 20 and len({task.commands for task in tasks}) == len(tasks) >= len(OS_GOALS)
    for task in tasks:
        parsed = family.parse(task.prompt)
        assert parsed and split_of(family.key(*parsed)) == "eval"


def test_in_a_sandbox_right_commands_are_right_and_others_are_not(sandbox: Sandbox) -> None:
    """Every right command of a task, and what negative agents do."""
    tasks, known = nano_os_tasks(len(OS_GOALS)), dict[str, tuple[tuple[str, str], ...]]()
    last = {task.prompt: f"Think: x\n\nAct: bash\n\n```bash\n{task.commands[-1]}\n```" for task in tasks}

    def gold(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        return [Turn(last[messages[0].content]) for messages in conversations]

    ended = dict(play(tasks, lambda task: NanoOsConversation(task, sandbox.open, known), gold))
    assert [tasks[k].id for k, one in ended.items() if not (one.outcome and one.outcome.right)] == []
    texts = list(NEGATIVE.values())

    def negative(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        return [Turn(texts[k % len(texts)]) for k in range(len(conversations))]

    for number, one in play(tasks, lambda task: NanoOsConversation(task, sandbox.open, known), negative):
        assert one.outcome and not one.outcome.right, tasks[number].prompt


def test_a_part_of_the_tasks_has_every_group() -> None:
    assert {task.group for task in spread(TASKS, 3)} == {"SELECT", "INSERT", "UPDATE"}
    assert spread(TASKS, None) == TASKS == spread(TASKS, 1000)
    by_group = sorted(TASKS, key=lambda task: task.group)
    assert Counter(task.group for task in spread(by_group, 9)) == {"SELECT": 3, "INSERT": 3, "UPDATE": 3}


def test_benchmarks_are_found_by_their_names() -> None:
    assert [agent_benchmark(one.name) for one in AGENTS] == list(AGENTS)
