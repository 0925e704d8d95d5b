"""Judging in a run: kept as it comes, continued, named by the judge, repeated only where a verdict depends on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import scripted_judge
from scripted_judge import Gone, ScriptedJudge
from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.engines.server import watch
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.benchmark import configured
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.run.planning import estimate
from synthetic_instruction_tuner.run.stages.judging import PAIRS, Answered, judge_answers, judging_part
from synthetic_instruction_tuner.run.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "evaluation"))

from mt_bench_files import make_folder

WORTH = {"good": 8, "fair": 6, "weak": 3}
REPLIES = 32  # ratings of a variant


def rate(messages: list[dict[str, str]]) -> str:
    text = messages[-1]["content"]
    words = [word for word in text.split() if word in WORTH]
    if "Assistant B's Answer" in text or "---" in text:
        first, last = WORTH[words[0]], WORTH[words[-1]]
        return "[[A]]" if first > last else "[[B]]" if first < last else "[[C]]"
    return f"[[{WORTH[words[-1]]}]]"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "run.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Config]:
    make_folder(tmp_path / "data" / "mt_bench")

    def make(url: str, *settings: str) -> Config:
        fixed = ["evaluate.benchmarks=[mt_bench]", f"evaluate.data_dir={tmp_path / 'data'}", "engine.outage=0.2"]
        fixed += ["evaluate.mt_bench.judge.model.path=scripted", f"evaluate.mt_bench.judge.model.url={url}"]
        return load_config("nano", None, [*fixed, "engine.max_retries=0", "engine.concurrency=1", *settings], None)

    return make


def judged(store: Store, config: Config, *chosen: Answered) -> dict[tuple[str, str], BenchmarkResult]:
    @contextmanager
    def task(*_: Any) -> Iterator[Callable[..., None]]:
        yield lambda *_: None

    context: Any = SimpleNamespace(
        config=config,
        store=store,
        commit=store.commit_batch,
        display=SimpleNamespace(task=task),
        hardware=detect("cpu"),
    )
    return judge_answers(context, chosen)


def answered(config: Config, variant: str, word: str) -> Answered:
    items = tuple(
        ItemResult(q.id, q.turns, (f"{word} a", f"{word} b"), {"reward": (0.5, 0.5)}, (q.category,))
        for q in configured(config.evaluate).questions
    )
    return Answered("s", variant, f"evaluate:{variant}:{word}", BenchmarkResult("mt_bench", "rating", items))


def test_ratings_come_into_the_results_under_the_judges_name(store: Store, config: Callable[..., Config]) -> None:
    with ScriptedJudge(rate) as server:
        chosen = config(server.url, "evaluate.mt_bench.judge.pairwise=true")
        variants = [answered(chosen, *pair) for pair in (("base", "weak"), ("sft", "fair"), ("dpo", "good"))]
        found = judged(store, chosen, *variants)
        asked = len(server.bodies)
        assert judged(store, chosen, *variants) == found
        assert len(server.bodies) == asked == 3 * REPLIES + 2 * 2 * REPLIES
    assert {result.benchmark for result in found.values()} == {"mt_bench (judge: scripted)"}
    means = {variant: result.estimate().value for (_, variant), result in found.items()}
    assert means == {"base": 3, "sft": 6, "dpo": 8}
    assert found["s", "dpo"].metrics == ("rating", "turn_1", "turn_2", "unreadable", "reward")
    pairs = store.fact(PAIRS)
    assert [(p["ours"], p["theirs"], p["wins"]) for p in pairs] == [("sft", "base", 32), ("dpo", "sft", 32)]


def test_a_judge_that_goes_away_costs_nothing_that_has_come(store: Store, config: Callable[..., Config]) -> None:
    count = 0

    def until_gone(messages: list[dict[str, str]]) -> str:
        nonlocal count
        count += 1
        if count > 20:
            raise Gone
        return rate(messages)

    with ScriptedJudge(until_gone) as server:
        chosen = config(server.url)
        with pytest.raises(RunError, match="gave no reply to 12 of 32"):
            judged(store, chosen, answered(chosen, "base", "weak"), answered(chosen, "sft", "good"))
    with ScriptedJudge(rate) as server:
        moved = config(server.url)  # another port: how it is reached does not matter
        found = judged(store, moved, answered(moved, "base", "weak"), answered(moved, "sft", "good"))
        assert len(server.bodies) == 2 * REPLIES - 20
    assert found["s", "sft"].estimate().value == 8


@contextmanager
def served(log: Path, most: int = 1000, port: int = 0) -> Iterator[int]:
    """A judge in a process of its own; yields its port."""
    line = [sys.executable, scripted_judge.__file__, str(port), str(log), str(most)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_a_judge_that_is_killed_is_waited_for_and_then_asked_only_for_what_is_missing(
    tmp_path: Path, config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real kill -9 in the middle of the comparisons; the next run finds the judge back at its place."""
    monkeypatch.setattr(watch, "GRACE", 0.0)

    def evaluated(name: str, port: int, outage: float = 30.0) -> tuple[Any, Any]:
        settings = ("evaluate.mt_bench.judge.pairwise=true", "engine.max_retries=2", f"engine.outage={outage}")
        chosen = config(f"http://127.0.0.1:{port}/v1", *settings)
        variants = [answered(chosen, *pair) for pair in (("base", "weak"), ("sft", "fair"), ("dpo", "good"))]
        with closing(Store.open(tmp_path / name)) as store:
            return judged(store, chosen, *variants), store.fact(PAIRS)

    log, other_log = tmp_path / "log", tmp_path / "other"
    wanted = 3 * REPLIES + 2 * 2 * REPLIES
    with served(log, most=wanted // 2) as port, pytest.raises(RunError) as stopped:
        evaluated("killed", port, outage=1.0)
    assert f"The server http://127.0.0.1:{port} has been away for" in caplog.text
    assert "The run waits for it, up to 1 s (engine.outage)" in caplog.text
    assert stopped.value.problem == f"The server http://127.0.0.1:{port} has been unavailable for 1 s."
    assert stopped.value.fix == "Start it and run the same command again: finished work is kept."
    assert len(log.read_text().split()) == wanted // 2

    with served(log, port=port):
        found = evaluated("killed", port)
    asked = log.read_text().split()
    assert len(asked) == len(set(asked)) == wanted
    with served(other_log) as port:
        assert evaluated("whole", port) == found
    assert sorted(other_log.read_text().split()) == sorted(asked)


def test_only_what_a_verdict_depends_on_asks_again(store: Store, config: Callable[..., Config]) -> None:
    with ScriptedJudge(rate) as server:
        chosen = config(server.url)
        judged(store, chosen, answered(chosen, "base", "weak"))
        for settings, new in (
            (["evaluate.mt_bench.judge.references=original"], 12),  # questions with references
            (["evaluate.mt_bench.judge.max_new_tokens=99"], REPLIES),
            (["evaluate.mt_bench.judge.model.name=other"], REPLIES),
            (["engine.concurrency=3"], 0),
        ):
            before = len(server.bodies)
            other = config(server.url, *settings)
            found = judged(store, other, answered(other, "base", "weak"))
            assert len(server.bodies) - before == new
            assert other.evaluate.mt_bench.answers_part() == chosen.evaluate.mt_bench.answers_part()
        assert [result.benchmark for result in found.values()] == ["mt_bench (judge: scripted)"]
        better = replace(answered(chosen, "base", "good"))
        assert judged(store, chosen, better)["s", "base"].estimate().value == 8


def test_the_stage_depends_on_the_judge_only_where_there_is_one(config: Callable[..., Config]) -> None:
    assert judging_part(load_config("nano", None, [], None)) == {}
    one, other = config("http://127.0.0.1:1/v1"), config("http://127.0.0.1:2/v1")
    assert judging_part(one) == judging_part(other) != {}
    assert judging_part(config("http://127.0.0.1:1/v1", "evaluate.mt_bench.judge.references=original")) != judging_part(
        one
    )


def test_a_plan_counts_the_judge() -> None:
    found = []
    for pairwise in ("false", "true"):
        settings = ["evaluate.benchmarks=[mt_bench]", "evaluate.mt_bench.judge.model.path=microsoft/phi-4"]
        settings += ["evaluate.mt_bench.judge.model.parameters=14.7e9", f"evaluate.mt_bench.judge.pairwise={pairwise}"]
        chosen = load_config("a100", None, settings, None)
        stage = next(stage for stage in estimate(chosen, detect("cpu")) if stage.stage == "evaluate")
        part = next(part for part in stage.parts if part.label == "judging with phi-4")
        assert 0 < part.seconds < stage.seconds
        assert stage.memory_gb > 14.7 * 4
        found.append(part.seconds)
    assert found[1] == pytest.approx(found[0] * (10 + 2 * 7) / 10, rel=0.01)  # ten variants, seven with another one
