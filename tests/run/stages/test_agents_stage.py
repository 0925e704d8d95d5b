"""Stage agents: a kill between any two rounds changes nothing, and an environment that is gone stops it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from synthetic_instruction_tuner.chat.tools.calls import Said
from synthetic_instruction_tuner.chat.tools.forms import JsonForm
from synthetic_instruction_tuner.cli.evaluation.agent_options import FORMS
from synthetic_instruction_tuner.config import ModelConfig, load_config
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent import tool_agent
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark, usable
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Environment
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.db.tool_conversation import DbToolConversation
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import NanoDbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.results import agent_rows
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn
from synthetic_instruction_tuner.evaluation.benchmarks.base import kind_of
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.checks.agent_form import check_form
from synthetic_instruction_tuner.run.stages.agents import playing
from synthetic_instruction_tuner.run.stages.agents.playing import play_variant, played_so_far
from synthetic_instruction_tuner.run.stages.agents.units import stored_result
from synthetic_instruction_tuner.run.stages.evaluate import Variant
from synthetic_instruction_tuner.run.store import Store

BENCHMARK = agent_benchmark("nano_db")
UNIT = "agents:s-base:nano_db:k"
PLAYER = Variant(ModelConfig(path="nano:student-llama"), "base", None)
WRONG = "I look.\n\nAction: Operation\n```sql\nSELECT * FROM nothing;\n```"
ITEMS, AT_ONCE = 7, 3


SCORES = DbTask("db-0000", "Who?", "The table is t.", "other", "t", ("a", "b"), (("Ann", "1"), ("Bob", "2")), ("Ann",))
CALLS = JsonForm("<call>", ("name",), ("arguments",))


class Killed(BaseException):
    """The process ends."""


class Work:
    """A run's store, and an agent that fails once or twice before it knows the answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store.open(folder / "run.sqlite")
        self.commits, self.last = 0, 10**9
        self.asked: Counter[tuple[str, int]] = Counter()
        self.config = load_config("nano", None, ["agents.benchmarks=[nano_db]", f"agents.items={ITEMS}"])
        self.config = self.config.model_copy(
            update={"agents": self.config.agents.model_copy(update={"at_once": AT_ONCE})}
        )
        self.tasks = {task.prompt: task for task in BENCHMARK.tasks(self.config)}
        self.environment = Environment("SQLite", "SQLite", self._begin)
        self.broken: set[str] = set()
        monkeypatch.setattr(playing, "unit_of", lambda *_: UNIT)
        monkeypatch.setattr(tool_agent, "agent_of", lambda *_: (self._answer, None))

    def play(self, benchmark: AgentBenchmark = BENCHMARK) -> list[dict[str, Any]]:
        context: Any = SimpleNamespace(config=self.config, store=self.store, commit=self._commit, engine=self._engine)
        play_variant(context, PLAYER, [benchmark], {benchmark.name: self.environment}, lambda n=1, note=None: None)
        return list(self.store.rows(UNIT))

    def _begin(self, task: Any, _: object) -> Dialogue:
        if task.id in self.broken:
            raise EnvironmentFailed("the server went away")
        return NanoDbConversation(task, EmbeddedDatabase)

    def _commit(self, unit: str, number: int, rows: Sequence[Any]) -> None:
        if self.commits == self.last:
            raise Killed
        self.commits += 1
        self.store.commit_batch(unit, number, rows)

    @contextmanager
    def _engine(self, *_: object, **__: object) -> Iterator[tuple[None, None]]:
        yield None, None

    def _answer(self, conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        assert len(conversations) <= AT_ONCE
        turns = []
        for messages in conversations:
            task, said = self.tasks[messages[0].content], sum(m.role == "assistant" for m in messages)
            self.asked[task.id, said] += 1
            turns.append(Turn(task.answer if said >= int(task.id[-1]) % 4 else WRONG))
        return turns


def test_a_kill_between_any_two_rounds_changes_nothing_and_asks_at_most_one_round_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    whole = Work(tmp_path / "whole", monkeypatch)
    expected, rounds = whole.play(), whole.commits
    assert set(whole.asked.values()) == {1} and rounds > 5
    assert [row["state"] for row in expected[1:]].count("task limit") == 1
    for last in range(rounds):
        folder = tmp_path / str(last)
        folder.mkdir()
        work = Work(folder, monkeypatch)
        work.last = last
        with pytest.raises(Killed):
            work.play()
        before = played_so_far(work.store, UNIT)
        kept = Counter(row["task"] for row in work.store.rows(f"{UNIT}:kept") if "result" in row)
        assert set(kept.values()) <= {1} and len(kept) == before
        work.last = 10**9
        assert work.play() == expected
        assert sum(work.asked.values()) - len(work.asked) <= AT_ONCE, "only the lost round is asked again"
        assert not work.store.batch_numbers(f"{UNIT}:kept")
        work.store.close()


def test_a_task_whose_environment_breaks_twice_is_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(tmp_path, monkeypatch)
    work.broken = {"nano_db-0002"}
    rows = work.play()[1:]
    assert [row["task"] for row in rows if row["state"] == "environment error"] == ["nano_db-0002"]


def test_an_environment_that_is_gone_stops_the_stage_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    expected = Work(tmp_path / "whole", monkeypatch).play()

    def gone() -> None:
        raise UserError("The database server cannot be used.", "it does not answer", "Start it.")

    work = Work(tmp_path, monkeypatch)
    work.broken = {"nano_db-0005"}  # begins after the first round
    work.environment = Environment("MariaDB", "MariaDB", work._begin, gone)
    with pytest.raises(RunError, match="environment of nano_db is gone"):
        work.play()
    before = played_so_far(work.store, UNIT)
    assert 0 < before < ITEMS
    work.broken, work.environment = set(), Environment("SQLite", "SQLite", work._begin)
    assert work.play() == expected


def test_a_model_whose_template_has_tools_plays_under_names_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the form is known again from what is kept, without the model."""
    work = Work(tmp_path, monkeypatch)
    tasks = [replace(SCORES, id=f"db-{k:04d}", question=f"Who is {k}?") for k in range(3)]
    dbbench = replace(agent_benchmark("dbbench"), tasks=lambda config: tasks)

    def read(text: str, tools: Sequence[Any]) -> Said:
        return CALLS.read(text, {})

    def answer(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        assert all(messages[0].role == "tools" for messages in conversations)
        call = {"name": "commit_final_answer", "arguments": {"answers": ["Ann"]}}
        return [Turn(f"<call>{json.dumps(call)}</call>") for _ in conversations]

    def begin(task: Any, reader: Any) -> Dialogue:
        return DbToolConversation(task, EmbeddedDatabase, reader)

    monkeypatch.setattr(tool_agent, "agent_of", lambda engine, template, form, most: (answer, read))
    work.environment = Environment("SQLite", "SQLite", begin)
    work.play(dbbench)
    result = stored_result(work.store, UNIT, dbbench)
    assert result and (result.benchmark, result.headline) == ("dbbench_tool_calls", "overall_cat_accuracy_tool_calls")
    assert agent_benchmark(result.benchmark).form.protocol.startswith("AgentBench FC")
    assert result.summary.headline == 1.0 and kind_of(result.benchmark) == "public"
    text = replace(result, benchmark="dbbench", headline="overall_cat_accuracy")
    assert not any(row.differences for row in agent_rows({("s", "base"): [text], ("s", "dpo"): [result]}))
    assert any(row.differences for row in agent_rows({("s", "base"): [result], ("s", "dpo"): [result]}))


def test_the_form_that_the_template_decides_is_no_part_of_the_key() -> None:
    keys = {form: load_config("nano", None, [f"agents.form={form}"]).agents.key_part() for form in FORMS}
    assert "form" not in keys["auto"] and keys["tools"]["form"] == "tools" != keys["text"]["form"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("agents.benchmarks=[nano_db,dbbench]", "cannot call tools on nano_db"),
        ("agents.benchmarks=[dbbench]", "student-llama cannot call tools"),
    ],
)
def test_tools_that_are_asked_for_and_not_there_are_told_at_the_start(settings: str, says: str) -> None:
    config = load_config("nano", None, [settings, "agents.form=tools"])
    with pytest.raises(UserError, match=says):
        check_form(config, config.models.students)
    assert [one.name for one in usable(config)] == [n for n in config.agents.benchmarks if n == "nano_db"]
    check_form(load_config("nano", None, [settings]), config.models.students)
    check_form(load_config("nano", None, ["agents.benchmarks=[dbbench]", "agents.form=tools"]), [])
