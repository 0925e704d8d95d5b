"""Stage generate: goals, quotas, kills, batches that are taken over, refusal, and flat memory; on a made-up engine."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fake_engine import FakeEngine, sentence
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import FilterConfig, GenerateConfig, ModelConfig, load_config
from synthetic_instruction_tuner.data_generation.plan import apportion
from synthetic_instruction_tuner.data_generation.target import Target
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.evaluation.benchmarks import nano_mt
from synthetic_instruction_tuner.evaluation.benchmarks import sources as benchmark_sources
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rules.reward import RewardScorer
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.models.loading import load_tokenizer
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run import execution
from synthetic_instruction_tuner.run.execution import execute
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import run_pipeline
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.stages import filter_inputs
from synthetic_instruction_tuner.run.stages.batch_filter import BatchFilter
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.store import Store

TOKENIZER = load_tokenizer(ModelConfig(path="nano:generator"))
TEMPLATE = ChatTemplate.from_tokenizer(TOKENIZER)
BASE = ("generate.batch=16", "filter.language=''", "filter.keep=null", "filter.min_words=5")
Run = Callable[..., dict[str, Any]]


def write(request: Request) -> str:
    """Half of the answers are too short; instructions never repeat."""
    return "Too short." if request.seed % 2 and not is_question(request) else sentence(request.seed)


def is_question(request: Request) -> bool:
    return str(TOKENIZER.decode(list(request.prompt_ids))).endswith("<user>")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine(TOKENIZER, write)

    @contextmanager
    def opened(ctx: Context, model: ModelConfig, adapter: Path | None = None) -> Iterator[Any]:
        yield engine, TEMPLATE

    monkeypatch.setattr(Context, "engine", opened)
    return engine


@pytest.fixture
def run(engine: FakeEngine, tmp_path: Path) -> Run:
    """Runs as far as generate (or `until`); returns what the store and the files say."""

    def call(*overrides: str, folder: str = "run", until: str = "generate", limit: int | None = None) -> dict[str, Any]:
        place = RunFolder(tmp_path / folder)
        config = load_config(overrides=[*BASE, *overrides], limit=limit)
        states = run_pipeline(config, place, Display(quiet=True), detect("cpu"), until=until)
        with closing(Store.open(place.store, readonly=True)) as store:
            target, health = store.fact("generate_target"), store.fact("generator_health")
            report = store.fact("filter_report")
        rows = json.loads(place.raw.read_text(encoding="utf-8"))
        found = {"rows": rows, "note": states[0].note, "target": target, "health": health, "folder": place}
        return found | {"report": report, "states": {state.name: state for state in states}}

    return call


def passing(rows: list[dict[str, Any]]) -> Counter[Any]:
    rules = FilterConfig(language="", min_words=5)
    own = {field.name for field in fields(Record)}  # data files may hold more columns
    records = [Record.from_json({name: value for name, value in row.items() if name in own}) for row in rows]
    judged = QualityFilter(rules).check(records)
    return Counter(row["domain"] for row, judgement in zip(rows, judged, strict=True) if judgement.passed)


def files(folder: RunFolder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.raw.parent.iterdir()}


def test_until_enough_pass(run: Run) -> None:
    found = run("generate.count=500", "generate.until_kept=70")
    kept = sum(passing(found["rows"]).values())
    assert 70 <= kept < 86 and len(found["rows"]) < 250
    assert [row["id"] for row in found["rows"]] == [f"raw-{n:06d}" for n in range(len(found["rows"]))]
    assert found["target"]["explanation"] == "" and found["note"].startswith("70 of the 70 wanted records pass")
    fixed = run(f"generate.count={len(found['rows'])}", folder="fixed")  # the target says how many, not what
    assert [(r["instruction"], r["response"]) for r in fixed["rows"]] == [
        (r["instruction"], r["response"]) for r in found["rows"]
    ]


def test_quotas_hold_for_what_passes(run: Run) -> None:
    domains = "generate.domains={coding: 3, math: 2, own: {system: Ask about owls., share: 1}}"
    found = run("generate.count=900", "generate.until_kept=90", domains, "generate.undirected_share=3")
    kept = passing(found["rows"])
    quotas = {"coding": 30, "math": 20, "own": 10, None: 30}
    assert all(quota <= kept[name] <= quota + 8 for name, quota in quotas.items())
    assert {name or None: d["quota"] for name, d in found["target"]["domains"].items()} == quotas
    plain = run("generate.count=90", domains, "generate.undirected_share=3", folder="plain")
    assert Counter(row["domain"] for row in plain["rows"]) == quotas


def kept(folder: RunFolder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(folder.filtered.read_text(encoding="utf-8"))
    return found


@hypothesis_settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(goal=st.integers(1, 50), shares=st.lists(st.integers(1, 9), min_size=1, max_size=3), keep=st.integers(1, 60))
def test_exactly_the_wanted_number_goes_on(run: Run, goal: int, shares: list[int], keep: int) -> None:
    domains = ", ".join(f"d{i}: {{system: Ask about {i}., share: {share}}}" for i, share in enumerate(shares))
    options = (f"generate.domains={{{domains}}}", "generate.undirected_share=2", f"filter.keep={keep}")
    place = "-".join(map(str, (goal, *shares, keep)))
    found = run("generate.count=900", f"generate.until_kept={goal}", *options, until="filter", folder=place)
    total, rows = min(goal, keep), kept(found["folder"])
    quotas = apportion(total, {f"d{i}": share for i, share in enumerate(shares)} | {None: 2})
    assert Counter(row["domain"] for row in rows) == {name: n for name, n in quotas.items() if n}
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids) and found["states"]["filter"].rows_out == total == found["report"]["kept"]
    assert found["note"].startswith(f"{goal} of the {goal} wanted records pass")
    assert found["report"]["passed"] == total + found["report"]["over"] and found["report"]["target"] == total


def test_without_a_target_nothing_is_said_of_one(run: Run) -> None:
    found = run("generate.count=60", "filter.keep=20", until="filter")
    assert len(kept(found["folder"])) == 20 and "target" not in found["report"]
    assert "generate" not in found["states"]["filter"].part


def test_what_the_rules_with_a_model_drop_is_missing_and_named(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def strict() -> Iterator[Any]:
        yield SimpleNamespace(score=lambda texts, done: [-3.0 if i % 2 else 1.0 for i in range(len(texts))])

    scorer = RewardScorer(ModelConfig(path="nano:reward"), {}, 1000, strict)
    monkeypatch.setattr(filter_inputs, "reward_scorer", lambda config: scorer)
    said: list[str] = []
    monkeypatch.setattr(Display, "say", lambda self, text, style=None: said.append(text))
    found = run("generate.count=300", "generate.until_kept=40", "filter.min_reward=0", until="filter")
    rows, note = kept(found["folder"]), found["states"]["filter"].note
    dropped = sum(row["dropped"] for row in found["report"]["funnel"] if row["rule"] == "reward")
    assert len(rows) == found["report"]["kept"] < 40 and dropped > 0
    assert note.startswith(f"{len(rows)} of the 40 wanted records are kept: reward drops {dropped}")
    assert any("filter.min_reward (0)" in line and f"{len(rows)} of the 40" in line for line in said)


def test_a_domains_own_topics_come_equally_often_on_the_way_to_a_goal(run: Run) -> None:
    own = "generate.domains={coding: 1, own: {system: Ask about owls., share: 1, topics: [a, b, c, d]}}"
    found = run("generate.count=900", "generate.until_kept=60", own, "generate.undirected_share=0")
    counts = Counter(row["provenance"]["topic"] for row in found["rows"] if row["domain"] == "own")
    assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 1


@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(moments=st.lists(st.integers(1, 260), min_size=1, max_size=3))
def test_interrupted_anywhere_the_outcome_is_the_same(run: Run, engine: FakeEngine, moments: list[int]) -> None:
    options = ("generate.count=300", "generate.until_kept=40", "generate.domains=[coding, math]", "generate.turns=2")
    whole = files(run(*options, folder="whole")["folder"])
    folder = "broken-" + "-".join(map(str, moments))
    for moment in moments:
        engine.requests.clear()
        engine.failing_after = moment
        try:
            run(*options, folder=folder)
        except KeyboardInterrupt:
            pass
        finally:
            engine.failing_after = None
    assert files(run(*options, folder=folder)["folder"]) == whole


def test_what_is_written_is_taken_over_when_only_the_goal_changes(run: Run, engine: FakeEngine) -> None:
    first = run("generate.count=100", until="filter")
    engine.requests.clear()
    more = run("generate.count=130", until="filter")
    assert more["rows"][:100] == first["rows"]
    assert len({str(r.prompt_ids) + str(r.seed) for r in engine.requests}) <= 2 * (130 - 96)  # the last batch was short
    engine.requests.clear()
    goal = run("generate.count=130", "generate.until_kept=50", until="filter")
    assert goal["rows"][:32] == first["rows"][:32] and len(engine.requests) <= 2 * 32
    engine.requests.clear()
    strict = run("generate.count=130", "generate.until_kept=50", "filter.min_words=6", until="filter")
    assert strict["rows"] == goal["rows"] and engine.requests == []
    run("generate.count=100", "generate.response.temperature=0.1")
    assert len(engine.requests) >= 100  # other texts are wanted


@pytest.mark.parametrize("seed", [1, 5])
def test_what_is_taken_over_begins_where_the_batch_does(run: Run, seed: int) -> None:
    """With a target, batches of the same number and size can hold other records."""
    goals = [("generate.count=300", f"generate.until_kept={goal}") for goal in (20, 21, 22, 24)]
    rules = [(*goals[-1], f"filter.min_words={words}") for words in (8, 12, 18)]
    for place, options in enumerate([*goals, *rules]):
        rows = run(f"seed={seed}", *options)["rows"]
        assert [row["id"] for row in rows] == [f"raw-{n:06d}" for n in range(len(rows))]
        assert rows == run(f"seed={seed}", *options, folder=f"fresh-{place}")["rows"]


def test_another_filter_writes_nothing_again(run: Run, engine: FakeEngine) -> None:
    before = run("generate.count=64", until="filter")
    engine.requests.clear()
    assert run("generate.count=64", "filter.min_words=2", until="filter")["rows"] == before["rows"]
    assert engine.requests == []


def test_it_stops_where_nothing_new_comes(run: Run, engine: FakeEngine) -> None:
    engine.write = lambda request: sentence(request.seed % 20 if is_question(request) else request.seed)
    found = run("generate.count=5000", "generate.until_kept=1000", "generate.patience=64")
    assert len(found["rows"]) < 200
    assert found["note"].startswith("20 of the 1,000 wanted records pass: stopped early")
    assert "most fail for near_duplicates" in found["note"] and "temperature" in found["target"]["explanation"]


def test_the_goal_counts_what_the_filter_keeps(run: Run, engine: FakeEngine, tmp_path: Path) -> None:
    """Benchmark items count for nothing, and other items are other rules."""
    exam = tmp_path / "exam.txt"
    exam.write_text(sentence(3), encoding="utf-8")

    def write(request: Request) -> str:
        if not is_question(request) or request.seed % 3 == 2:
            return sentence(request.seed)
        return prompts[request.seed % len(prompts)] if request.seed % 3 else sentence(3)

    prompts = [item.prompts[0] for item in nano_mt.items(210)]
    engine.write = write
    options = ("generate.count=600", "generate.until_kept=40", f"filter.contamination.files=[{exam}]")
    found = run(*options, until="filter")
    assert len(json.loads(found["folder"].filtered.read_text(encoding="utf-8"))) == 40 == found["target"]["wanted"]
    exam.write_text(sentence(4), encoding="utf-8")
    assert len(run(*options)["rows"]) < len(found["rows"])  # one of the repeated instructions passes now


@pytest.mark.parametrize(("goal", "fetched"), [("null", []), ("20", ["nano"])])
def test_benchmarks_are_fetched_before_anything_is_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, goal: str, fetched: list[str]
) -> None:
    class Enough(Exception):
        """Nothing needs to be run."""

    def stop(*_: Any) -> None:
        raise Enough

    wanted: list[str] = []
    monkeypatch.setattr(benchmark_sources, "fetch", lambda config, say: wanted.extend(config.benchmarks))
    monkeypatch.setattr(execution, "check_before_start", stop)
    with pytest.raises(Enough):
        execute(load_config(overrides=[f"generate.until_kept={goal}"]), RunFolder(tmp_path), until="generate")
    assert wanted == fetched


def test_rules_that_need_a_model_come_after_the_goal(run: Run) -> None:
    found = run("generate.count=200", "generate.until_kept=20", "filter.min_reward=0")
    assert "20 of the 20 wanted records pass" in found["note"] and "not yet checked: reward" in found["note"]


def test_giving_up_can_be_switched_off(run: Run, engine: FakeEngine) -> None:
    engine.write = lambda request: sentence(request.seed % 20 if is_question(request) else request.seed)
    found = run("generate.count=200", "generate.until_kept=100", "generate.patience=16", "generate.exhausted_below=0")
    assert len(found["rows"]) == 200 and "has been reached" in found["note"] and "stopped" not in found["note"]


def test_only_the_exhausted_domain_is_given_up(run: Run, engine: FakeEngine) -> None:
    def write(request: Request) -> str:
        dull = "mathematics" in str(TOKENIZER.decode(list(request.prompt_ids)))
        return sentence(request.seed % 3 if dull and is_question(request) else request.seed)

    engine.write = write
    options = ("generate.domains=[coding, math]", "generate.undirected_share=0", "generate.patience=32")
    found = run("generate.count=2000", "generate.until_kept=60", *options)
    assert passing(found["rows"])["coding"] >= 30
    assert "domain math stopped early" in found["note"] and "coding" not in found["note"]
    assert (
        found["target"]["domains"]["math"]["stopped_early"]
        and not found["target"]["domains"]["coding"]["stopped_early"]
    )


def test_other_reasons_to_stop(run: Run, engine: FakeEngine) -> None:
    few = run("generate.count=40", "generate.until_kept=40")
    assert len(few["rows"]) == 40 and "generate.count (40) has been reached" in few["note"] and "length" in few["note"]
    engine.write = lambda request: sentence(request.seed) if is_question(request) else "No."
    none = run("generate.count=400", "generate.until_kept=40", "generate.patience=48", folder="none")
    assert len(none["rows"]) < 80 and "fail for length" in none["note"]


def test_a_generator_that_is_no_good_is_refused_before_it_answers(run: Run, engine: FakeEngine, tmp_path: Path) -> None:
    engine.write = lambda request: "Sure, here is how I can help."
    with pytest.raises(UserError, match="does not write usable instructions") as error:
        run("generate.count=64")
    assert "answering" in error.value.cause and len(engine.requests) == 16  # not one answer
    with closing(Store.open(tmp_path / "run/run.sqlite", readonly=True)) as store:
        assert store.fact("generator_health")["share"] == 0
    assert len(run("generate.count=64", "generate.min_healthy=0")["rows"]) == 64
    assert len(run("generate.count=64")["rows"]) == 64  # what is there is not examined again


@pytest.mark.parametrize("options", [("generate.batch=4",), ("generate.batch=12",), ("generate.until_kept=2",)])
def test_as_many_are_looked_at_however_small_a_batch_is(run: Run, engine: FakeEngine, options: tuple[str, ...]) -> None:
    healthy = run("generate.count=40", *options, folder="healthy")
    assert healthy["health"]["probes"] == 16
    engine.write = lambda request: "Sure, here is how I can help."
    engine.requests.clear()
    with pytest.raises(UserError, match="does not write usable instructions") as error:
        run("generate.count=40", *options)
    assert "its first 16" in error.value.cause and len(engine.requests) == 16


def test_health_is_kept_and_a_few_probes_are_not_judged(run: Run, engine: FakeEngine) -> None:
    assert run("generate.count=32")["health"]["usable"] == 16
    engine.write = lambda request: ""
    assert run(folder="few", limit=4)["health"]["share"] == 0


def test_requests_that_failed_say_nothing_of_the_generator(run: Run, engine: FakeEngine) -> None:
    engine.refuse = lambda request: "status 400: too long" if request.seed % 5 < 2 and is_question(request) else ""
    found = run("generate.count=64")
    failed = [row for row in found["rows"] if "instruction_error" in row["provenance"]]
    assert found["note"] == f"{len(failed)} requests failed: status 400: too long ({len(failed)})"
    assert found["health"]["faults"]["empty"] == 0 and found["health"]["probes"] < 16
    assert {row["provenance"]["engine"] for row in found["rows"]} == {"transformers"}


@pytest.mark.parametrize("batch", [4, 16])
@pytest.mark.parametrize("answers_only", [False, True])
def test_where_all_requests_fail_the_run_stops(run: Run, engine: FakeEngine, batch: int, answers_only: bool) -> None:
    engine.refuse = lambda request: "" if answers_only and is_question(request) else "max_tokens is too large: 512"
    if answers_only and batch < 8:  # so few can all be bad ones
        assert "32 requests failed" in run("generate.count=32", f"generate.batch={batch}")["note"]
        return
    with pytest.raises(RunError, match="failed on all 16 requests") as error:
        run("generate.count=32", f"generate.batch={batch}")
    assert error.value.cause == "max_tokens is too large: 512 (16)"
    engine.refuse = lambda request: ""
    assert run("generate.count=32", f"generate.batch={batch}")["note"] == ""  # all are asked again


def test_conversations_reach_the_filter(run: Run) -> None:
    found = run("generate.count=8", "generate.turns=3", until="filter")
    assert any(row["history"] for row in found["rows"])
    table = pq.read_table(found["folder"].raw.with_suffix(".parquet")).to_pylist()
    assert [row["history"] for row in table] == [row["history"] for row in found["rows"]]


def test_the_batch_filter_says_what_the_filter_says() -> None:
    """In portions of any size, as the stage needs it: the filter must not wait for more than there is."""
    records = [Record(f"r{n}", sentence(n % 30), sentence(n) if n % 3 else "No.") for n in range(120)]
    rules = FilterConfig(language="")
    whole = list(QualityFilter(rules).check(records))
    for size in (1, 7, 50, 120):
        batch_filter = BatchFilter(rules)
        assert [j for start in range(0, 120, size) for j in batch_filter.check(records[start : start + size])] == whole


def test_a_target_is_a_function_of_what_was_written() -> None:
    config = GenerateConfig(count=10_000, until_kept=100, batch=32)
    rules = FilterConfig(language="", min_words=1)
    one, other = (Target(config, BatchFilter(rules)) for _ in range(2))
    number = 0
    while batch := one.next_batch():
        assert batch == other.next_batch() == other.next_batch()
        records = [Record(f"r{number + i}", sentence(number + i), "Yes, it is." * (i % 2)) for i in range(len(batch))]
        assert one.take(records) == other.take(records)
        number += len(batch)
    assert one.passed == 100 and number < 260 and one.explanation() == ""


def test_memory_does_not_grow_with_the_records(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stage itself holds: the rows are read from the store anew for each use, never as a list."""
    from synthetic_instruction_tuner.run.stages import generate

    def held() -> int:
        return sum(isinstance(x, dict) and "instruction" in x and "response" in x for x in gc.get_objects())

    most, before = 0, held()

    def looked_at(rows: Any, path: Path) -> None:
        nonlocal most
        for row in rows:
            if row["id"].endswith("00"):
                most = max(most, held())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([len(rows)]))

    monkeypatch.setattr(generate, "export_rows", looked_at)
    assert run("generate.count=400")["rows"] == [400]
    assert most - before <= 2 * 16 + 2
