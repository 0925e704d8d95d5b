"""The milestones follow the run's numbers: what is there, what is missing, and what the next one needs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.run.pipeline import Step, ordered, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate
from synthetic_instruction_tuner.run.progress import Working
from synthetic_instruction_tuner.run.progress.milestones import Milestone, milestones, next_milestone
from synthetic_instruction_tuner.run.progress.progress_file import ProgressFile
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead
from synthetic_instruction_tuner.run.stages.stage import FORMATS, Amount
from synthetic_instruction_tuner.run.store import StageState, Store
from whole_runs import Sit

PLAN = {
    "generate": 1500, "filter": 1000, "prefer": 600, "sft": 3, "prompt_tuning": 1, "dpo": 3,
    "evaluate": 10, "agents": 3, "report": 30,
}  # fmt: skip
STUDENTS = ["Llama-3.2-3B", "Mistral-7B-v0.3", "Qwen2.5-3B"]
Found = Callable[..., dict[str, Milestone]]


def ahead(config: Config, done: dict[str, int], **others: Amount | str) -> Ahead:
    """What a run would do: stages with their output, with an amount so far, or with what made them fail."""
    stages = []
    for stage in ordered(config):
        name, amount, failed = stage.name, others.get(stage.name), ""
        if isinstance(amount, str):
            amount, failed = None, amount
        rows = done.get(name)
        status: Any = "done" if rows is not None else "failed" if failed else "running"
        begun = rows is not None or amount is not None or failed
        state = StageState(name, "key", status, 60.0, None, None, rows, "digest", failed, {}) if begun else None
        step = Step(stage, "skip" if rows is not None else "resume" if begun else "start")
        left = 0.0 if rows is not None else 60.0
        stages.append(StageAhead(step, state, StageEstimate(name, 60.0, 1.0, ""), amount=amount, seconds=left))
    return Ahead((), tuple(stages))


def scores(benchmarks: tuple[str, ...], students: list[str]) -> list[dict[str, Any]]:
    variants = ("base", "sft", "prompt_tuning", "dpo")
    chosen = [(s, v) for s in students for v in variants if v != "prompt_tuning" or s == students[0]]
    return [
        ComparisonRow(s, v, b, "m", True, 0.5, 0.1, 0.4, 0.6, 9, 9, 0, 0).to_json()
        for s, v in chosen
        for b in benchmarks
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the scores of a whole run of profile t4."""
    opened = Store.open(tmp_path / "run.sqlite")
    for name, unit, rows in (
        ("evaluate", "comparison", scores(("ifeval", "mmlu", "mt_bench (judge: phi)"), STUDENTS)),
        ("agents", "comparison", scores(("dbbench", "os_interaction"), STUDENTS)),
    ):
        opened.begin_stage(name, "key", {})
        opened.finish_stage(name, "digest", 9, 9, "")
        opened.commit_batch(f"{name}:key:{unit}", 0, rows)
    yield opened
    opened.close()


@pytest.fixture
def found(store: Store) -> Found:
    def read(done: dict[str, int], overrides: tuple[str, ...] = (), **others: Any) -> dict[str, Milestone]:
        config = load_config("t4", overrides=overrides, limit=others.pop("limit", None))
        return {one.name: one for one in milestones(config, store, ahead(config, done, **others))}

    return read


def states(of: dict[str, Milestone]) -> str:
    return " ".join(one.state.replace(" ", "_") for one in of.values())


def test_a_whole_run_reaches_all_of_them(found: Found) -> None:
    made = found(PLAN)
    assert states(made) == " ".join(["reached"] * 7)
    assert [one.missing() for one in made.values()] == [""] * 7
    assert next_milestone(list(made.values())) is None
    assert [c.has() for c in made["M5"].counts] == ["3 LoRA SFT adapters", "1 soft prompt"]
    assert [c.has() for c in made["M7"].counts] == ["10 variants", "3 benchmarks", "2 agent benchmarks", "1 report"]


def test_before_the_first_batch_nothing_is_ticked_and_the_fault_is_shown(found: Found) -> None:
    made = found({}, generate="The model cannot be loaded.")
    assert set(states(made).split()) == {"open"}
    assert made["M1"].note == "generate failed: The model cannot be loaded."
    assert made["M1"].missing() == "125 records"
    assert made["M2"].missing() == "1,500 records"


def test_the_first_batch_makes_the_environment_ready(found: Found, store: Store) -> None:
    store.set_fact(FORMATS, {"meta-llama/Llama-3.1-8B-Instruct": "NF4"})
    made = found({}, generate=Amount(375, 1500, "records"))
    assert states(made) == "reached partly open open open open open"
    assert made["M1"].note == "Llama-3.1-8B-Instruct is held in NF4"
    following = next_milestone(list(made.values()))
    assert following is not None and (following.name, following.missing()) == ("M2", "1,125 records")
    assert (following.until, following.seconds) == ("generate", 60.0)


def test_a_portion_of_the_records_does_not_reach_the_plan(found: Found) -> None:
    made = found({"generate": 500}, ("generate.count=500",))
    assert states(made).split()[:3] == ["reached", "cut_down", "open"]
    assert (made["M2"].note, made["M2"].missing()) == ("generate.count asks for 500", "1,000 records")


def test_more_than_the_plan_is_reached(found: Found) -> None:
    assert found(PLAN | {"generate": 3000}, ("generate.count=3000",))["M2"].state == "reached"


def test_a_trial_run_reaches_nothing_but_the_first(found: Found) -> None:
    made = found(PLAN | {"generate": 16, "filter": 11, "prefer": 9}, limit=16)
    assert states(made).split()[:4] == ["reached", "cut_down", "cut_down", "cut_down"]
    assert made["M3"].note == "filter.keep asks for 16"


def test_too_few_that_pass_the_rules(found: Found) -> None:
    made = found({"generate": 1500, "filter": 958})
    assert (made["M3"].state, made["M3"].counts[0].has()) == ("cut down", "958 of 1,000 records")
    assert made["M3"].note == "42 more had to pass the rules: raise generate.count, or set generate.until_kept=1000"


def test_a_target_counts_what_passes_not_what_is_written(found: Found) -> None:
    wanted = ("generate.until_kept=1000",)
    made = found({"generate": 1371, "filter": 1000}, wanted)
    assert states(made).split()[:3] == ["reached", "reached", "reached"]
    begun = found({}, wanted, generate=Amount(900, None, "records"))["M2"]
    assert (begun.state, begun.missing(), begun.counts[0].has()) == ("partly", "", "900 records")


def test_answers_are_no_pairs_yet(found: Found) -> None:
    made = found({"generate": 1500, "filter": 1000}, prefer=Amount(1024, None, "answers"))
    assert (made["M4"].state, made["M4"].note) == ("partly", "1,024 answers")
    assert made["M4"].missing() == "600 pairs"


def test_each_method_counts_its_own_adapters(found: Found) -> None:
    data = {"generate": 1500, "filter": 1000, "prefer": 600}
    made = found(data, sft=Amount(2, 3, "students"))
    assert (made["M5"].state, made["M5"].missing()) == ("partly", "1 LoRA SFT adapter and 1 soft prompt")
    assert made["M6"].state == "open"


def test_without_the_7b_model_and_with_ifeval_alone(found: Found, store: Store) -> None:
    store.drop_unit("evaluate:key:comparison")
    store.commit_batch("evaluate:key:comparison", 0, scores(("ifeval",), STUDENTS[:1]))
    less = ("models.students=[meta-llama/Llama-3.2-3B]", "evaluate.benchmarks=[ifeval]")
    made = found(PLAN | {"sft": 1, "dpo": 1, "evaluate": 4}, less)
    assert states(made).split()[4:] == ["cut_down"] * 3
    assert made["M6"].note == "models.students asks for 1"
    assert made["M7"].note == "models.students asks for 4; evaluate.benchmarks asks for 1"


def test_a_benchmark_that_is_not_at_hand_is_named(found: Found, store: Store) -> None:
    store.drop_unit("evaluate:key:comparison")
    store.commit_batch("evaluate:key:comparison", 0, scores(("ifeval", "mmlu"), STUDENTS))
    made = found(PLAN)
    assert (made["M7"].state, made["M7"].missing()) == ("cut down", "1 benchmark")
    assert made["M7"].note == "without mt_bench: 'sit benchmarks' says what is missing"


def test_an_agent_benchmark_that_is_left_out_is_said(found: Found, store: Store) -> None:
    store.drop_unit("agents:key:comparison")
    store.commit_batch("agents:key:comparison", 0, scores(("dbbench",), STUDENTS))
    made = found(PLAN)
    assert (made["M7"].state, made["M7"].missing()) == ("cut down", "1 agent benchmark")
    assert made["M7"].note == "without 1 agent benchmark: 'sit status' says why"


@pytest.mark.parametrize("kind", ["records", "prompts"])
def test_data_of_the_users_own_are_as_many_as_there_are(store: Store, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{kind}.jsonl"
    file.write_text(json.dumps({"instruction": "a", "response": "b"}) + "\n")
    config = load_config("t4", overrides=(f"data.{kind}={file}",))
    made = {one.name: one for one in milestones(config, store, ahead(config, PLAN | {"generate": 300, "filter": 250}))}
    assert states(made).split()[:4] == ["reached"] * 4
    assert [made[name].counts[0].has() for name in ("M2", "M3")] == ["300 records", "250 records"]


def test_what_is_out_of_date_is_not_reached(store: Store) -> None:
    config = load_config("t4")
    whole = ahead(config, PLAN)
    old = [
        replace(one, step=Step(one.step.stage, "redo", "filter.min_words 5 -> 9"), another=True)
        if one.step.stage.name == "filter"
        else one
        for one in whole.stages
    ]
    made = {one.name: one for one in milestones(config, store, Ahead((), tuple(old)))}
    assert states(made) == "reached reached open reached reached reached reached"
    assert made["M3"].note == "filter is out of date: filter.min_words 5 -> 9"


def test_pairs_of_the_users_own_need_no_records(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}) + "\n")
    config = load_config("t4", overrides=(f"data.pairs={file}",))
    done = {name: 0 for name in stage_names()} | {"prefer": 1, "dpo": 3, "evaluate": 6, "agents": 3}
    made = {one.name: one for one in milestones(config, store, ahead(config, done))}
    assert states(made).split()[:6] == ["reached"] * 6
    assert made["M2"].note == "skipped: pairs.jsonl has the pairs, so the run starts at DPO"
    assert [c.has() for c in made["M4"].counts] == ["1 pair"]


@pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run
@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_command_shows_a_finished_run(
    sit: Sit, finished: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(finished.parent)
    code, out, error = sit("status", "-d", finished.name, "--milestones")
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= width
    words = " ".join(out.split())
    assert "1 of 7 milestones are reached, 6 cut down." in words and "Next:" not in words
    for text in ("24 of 1,500 records", "2 of 3 SFT + DPO adapters", "7 of 10 variants", "generate.count asks for 24"):
        assert width < 200 or text in words
    code, out, _ = sit("status", "-d", finished.name, "--milestones", "--json")
    rows = json.loads(out)
    assert code == 0 and [row["milestone"] for row in rows] == [f"M{i}" for i in range(1, 8)]
    assert rows[1]["counts"] == [{"n": 24, "needed": 1500, "unit": "records", "setting": "generate.count", "asked": 24}]


@pytest.mark.xdist_group("pipeline")
def test_the_command_says_what_the_next_one_needs(sit: Sit, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    assert sit("status", "-d", folder, "--milestones")[0] == 2
    shutil.copytree(finished, folder)
    with closing(Store.open(folder / "run.sqlite")) as store:
        for name in stage_names()[2:]:
            store.forget_stage(name)
    code, out, _ = sit("status", "-d", folder, "--milestones")
    words = " ".join(out.split())
    assert code == 0 and "Next: M4, preference pairs (600 pairs missing, about" in words
    assert f"Continue with 'sit run -d {folder} --until prefer'" in words
    ProgressFile(folder / "progress.json").write(
        Working("prefer", "scoring the answers", 5, 10, "answers", 2.0, 2.5, 90.0)
    )
    words = " ".join(sit("status", "-d", folder, "--milestones")[1].split())
    assert "At work on prefer: scoring the answers" in words and "Continue with" not in words
