"""What a run would do to a finished run's folder, said before it is done and held against what is done."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from synthetic_instruction_tuner.cli.run import REFUSED_FROM
from synthetic_instruction_tuner.config import Config, parse_config
from synthetic_instruction_tuner.run import execution
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import STAGES, stage_names
from synthetic_instruction_tuner.run.remaining import WRITING
from synthetic_instruction_tuner.run.store import Store
from whole_runs import Sit

pytestmark = pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path) -> dict[Path, bytes]:
    side = (".lock", "-wal", "-shm")
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.endswith(side)}


def stored(folder: Path) -> Config:
    return parse_config(json.loads((folder / "config.json").read_text()))


def entered(error: str) -> set[str]:
    titles = [line[2:].split(":")[0].lower() for line in error.splitlines() if line.startswith("▸ ")]
    return {title.replace(" ", "_") for title in titles}


@pytest.mark.parametrize(
    ("options", "changed", "why"),
    [
        ((), set(), ""),
        (("--set", "filter.max_words=499"), {"filter"}, "filter.max_words 500 -> 499"),
        (("--set", "report.samples=1"), {"report"}, "samples"),
        (("--from", "report"), {"report"}, "--from report"),
        (("--set", "filter.max_words=499", "--until", "filter"), {"filter"}, "filter.max_words 500 -> 499"),
    ],
)
def test_a_plan_says_what_a_run_then_does(
    sit: Sit, copy: Path, options: tuple[str, ...], changed: set[str], why: str
) -> None:
    before, settings = contents(copy), stored(copy)
    code, out, error = sit("plan", "-d", copy, *options, "--json")
    assert (code, error) == (0, "")
    plan = json.loads(out)
    assert sit("plan", "-d", copy, *options)[0] == 0
    assert contents(copy) == before, "a plan writes nothing"
    stages = {stage["stage"]: stage for stage in plan["stages"]}
    assert list(stages) == stage_names()[: 2 if "--until" in options else None]
    certain = {name for name, stage in stages.items() if stage["next"] != "skip" and stage["state"] != "in doubt"}
    possible = {name for name, stage in stages.items() if stage["next"] != "skip"}
    assert certain >= changed and all(why in stages[name]["why"] for name in changed)
    for stage in STAGES:
        if stages.get(stage.name, {}).get("state") == "in doubt":
            reads = set(re.findall(r"\w+", stages[stage.name]["why"])) & set(stages)
            assert reads == possible & set(stage.inputs), "every input that may change is named"
    assert all(stage["why"] and stage["seconds"] > 0 for stage in stages.values() if stage["next"] != "skip")
    code, _, error = sit("run", "-d", copy, *options)
    assert code == 0
    assert certain <= entered(error) <= possible
    assert (len(plan["changes"]) == 1) == ("--set" in options)
    differing = {name for name in Config.model_fields if getattr(stored(copy), name) != getattr(settings, name)}
    assert len(differing) == len(plan["changes"]), "only what was set differs from what was stored"


def test_a_file_that_is_missing_is_planned_and_asks_nothing(sit: Sit, copy: Path) -> None:
    make_dear(copy)
    (copy / "docs/report.md").unlink()
    plan = json.loads(sit("plan", "-d", copy, "--json")[1])
    assert [s["stage"] for s in plan["stages"] if s["next"] != "skip"] == ["report"]
    assert plan["stages"][-1]["state"] == "incomplete" and "docs/report.md" in plan["stages"][-1]["why"]
    status = json.loads(sit("status", "-d", copy, "--json")[1])
    assert status[-1]["outputs"] == [] and status[0]["outputs"]
    assert sit("run", "-d", copy)[0] == 0 and (copy / "docs/report.md").exists()


def test_files_that_the_store_can_write_again_take_no_time(sit: Sit, copy: Path) -> None:
    files = {"evaluate": "evaluation/metrics/comparison_summary.csv", "prefer": "data/preference/preference_pairs.json"}
    for name, file in files.items():
        assert (copy / file).exists()
        again = json.loads(sit("plan", "-d", copy, "--from", name, "--json")[1])
        (copy / file).unlink()
        plan = json.loads(sit("plan", "-d", copy, "--json")[1])
        (stage,) = (s for s in plan["stages"] if s["stage"] == name)
        (whole,) = (s for s in again["stages"] if s["stage"] == name)
        assert stage["state"] == "incomplete" and stage["seconds"] == WRITING < whole["seconds"]
    assert sit("run", "-d", copy, "-q")[0] == 0 and all((copy / file).exists() for file in files.values())


def test_an_adapter_that_is_missing_is_trained_again(sit: Sit, copy: Path) -> None:
    next((copy / "models/sft").rglob("adapter_model.safetensors")).unlink()
    plan = json.loads(sit("plan", "-d", copy, "--json")[1])
    (stage,) = (s for s in plan["stages"] if s["stage"] == "sft")
    assert stage["state"] == "incomplete" and stage["seconds"] != WRITING


def make_dear(folder: Path) -> None:
    with closing(Store.open(folder / "run.sqlite")) as store:
        for name in stage_names():
            store.add_time(name, REFUSED_FROM)


def test_dear_work_is_not_replaced_without_yes_where_nobody_answers(sit: Sit, copy: Path) -> None:
    make_dear(copy)
    before = contents(copy)
    for verb in (("run",), ("report",), ("train", "dpo")):
        code, out, error = sit(*verb, "-d", copy, "--set", "filter.max_words=499", "--quiet")
        assert (code, out) == (2, "") and "--yes" in error
        assert "filter.max_words 500 -> 499" in error and "Adapters are replaced" in error
    assert contents(copy) == before
    assert sit("run", "-d", copy, "-q")[0] == 0, "the same settings ask nothing"
    code, _, error = sit("run", "-d", copy, "--set", "filter.max_words=499", "--yes")
    assert code == 0 and "filter.max_words 500 -> 499" in error


def test_what_was_agreed_to_is_not_asked_again_after_an_interruption(
    sit: Sit, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dear(copy)
    options = ("-d", copy, "-q", "--set", "filter.max_words=499")
    done = []

    def interrupted(*_: object, **__: object) -> None:
        done.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "run_pipeline", interrupted)
    assert sit("run", *options)[0] == 2 and not done
    assert sit("run", *options, "--yes")[0] == 130
    assert sit("run", *options)[0] == 130, "it goes on"
    assert sit("run", *options[:-1], "filter.max_words=498")[0] == 2, "these settings were not agreed to"


def test_what_is_out_of_date_is_not_listed(sit: Sit, copy: Path) -> None:
    for found in (json.loads(sit("status", "-d", copy, "--json")[1]), sit("status", "-d", copy)[1]):
        assert "report.html" in str(found)
    code, out, _ = sit("filter", "-d", copy, "--set", "filter.max_words=30")
    assert code == 0 and "word_repetition" in out and "are kept" in out, "the rules are shown"
    assert "prefer, sft, prompt_tuning, dpo, evaluate, agents, report are out of date" in " ".join(out.split())
    assert "data/raw" in out and "data/filtered" in out
    status = json.loads(sit("status", "-d", copy, "--json")[1])
    assert [stage["state"] for stage in status[:3]] == ["done", "done", "out of date"]
    assert [bool(stage["outputs"]) for stage in status] == [True, True] + [False] * (len(status) - 2)
    for text in (out, sit("status", "-d", copy)[1], sit("filter", "-d", copy)[1]):
        assert not any(name in text for name in ("report.html", "comparison_summary", "data/preference", "/models"))
    stages = json.loads(sit("filter", "-d", copy, "--json")[1])["stages"]
    assert all(Path(path).exists() for stage in stages for path in stage["outputs"])


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("generate", "The first instructions:"),
        ("filter", "word_repetition"),
        ("prefer", "mean margin"),
        ("train sft", "final loss"),
        ("evaluate", "standard error"),
    ],
)
def test_a_verb_ends_with_what_its_stage_found(sit: Sit, finished: Path, verb: str, said: str) -> None:
    code, out, _ = sit(*verb.split(), "-d", finished)
    assert code == 0 and said in out


def test_a_stage_that_is_partly_done_says_how_far_it_is(sit: Sit, copy: Path) -> None:
    with closing(Store.open(copy / "run.sqlite")) as store:
        state = store.stage("generate")
        assert state
        unit = f"generate:{state.key}"
        first_batch = store.batch_rows(unit, 0)
        store.drop_unit(unit)
        store.commit_batch(unit, 0, first_batch)
        store.begin_stage("generate", state.key, state.part)
    first = json.loads(sit("status", "-d", copy, "--json")[1])[0]
    assert first["state"] == "partly done" and first["amount"] == {"n": 6, "of": 24, "unit": "records"}
    assert "partly done: 6 of 24 records" in sit("status", "-d", copy)[1]
    assert RunFolder(copy).raw.exists() and first["outputs"] == []
