"""Stage agents: a kill between any two rounds changes nothing, and an environment that is gone stops it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from synthetic_instruction_tuner.config import ModelConfig, load_config
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent import tool_agent
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Environment
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import NanoDbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Turn
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.stages.agents import playing
from synthetic_instruction_tuner.run.stages.agents.playing import play_variant, played_so_far
from synthetic_instruction_tuner.run.stages.evaluate import Variant
from synthetic_instruction_tuner.run.store import Store

BENCHMARK = agent_benchmark("nano_db")
UNIT = "agents:s-base:nano_db:k"
PLAYER = Variant(ModelConfig(path="nano:student-llama"), "base", None)
WRONG = "I look.\n\nAction: Operation\n```sql\nSELECT * FROM nothing;\n```"
ITEMS, AT_ONCE = 7, 3


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
