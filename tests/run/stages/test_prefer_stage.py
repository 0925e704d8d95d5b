"""Stage prefer on the embedded models: every mode, in any number of attempts the same files, a card that loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.preference import judge
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import ordered, preview, run_pipeline, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import estimate
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.stages import prefer, prefer_answers
from synthetic_instruction_tuner.run.store import Store

pytestmark = pytest.mark.xdist_group("prefer")

SMALL = (
    "models.responders=[nano:responder-llama, nano:responder-qwen2]",
    "models.students=[nano:student-llama, nano:student-qwen2]",
    "generate.instruction.max_new_tokens=48",
    "generate.response.max_new_tokens=64",
    "filter.min_words=3",
    "prefer.batch=12",
    "prefer.sampling.max_new_tokens=24",
    "prefer.truncated=allowed",
    "prefer.min_margin=0",
    *(
        f"train.{m}.{k}"
        for m in ("sft", "dpo")
        for k in ("num_train_epochs=1", "per_device_train_batch_size=4", "save_steps=2")
    ),
)
JUDGED = ("prefer.scorer=judge", "models.judge=nano:responder-mistral", "prefer.judge.sampling.max_new_tokens=4")


def config(*more: str) -> Config:
    return load_config(overrides=[*SMALL, *more], limit=12)


def run(folder: Path, settings: Config, until: str = "prefer") -> None:
    run_pipeline(settings, RunFolder(folder), Display(quiet=True), detect("cpu"), until=until)


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as far as stage filter."""
    folder = tmp_path_factory.mktemp("prefer") / "run"
    run(folder, config(), until="filter")
    return folder


@pytest.fixture
def start(filtered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filtered, tmp_path / "run"))


@pytest.fixture
def any_judgment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes a judgment of whatever an embedded model says: none of them can judge."""
    monkeypatch.setattr(judge, "read_winner", lambda text: ("first", "second", "tie", None)[len(text) % 4])
    monkeypatch.setattr(judge, "read_rating", lambda text: float(len(text) % 10 + 1))
    yield


def pairs(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "data/preference/preference_pairs.json").read_text())


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "data/preference/preference_report.json").read_text())


def data(folder: Path) -> dict[str, bytes]:
    files = [p for p in (folder / "data").rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


class Stopped(BaseException):
    """Stands for a killed process: nothing that catches errors catches it."""


def run_in_pieces(folder: Path, settings: Config, monkeypatch: pytest.MonkeyPatch, until: str = "prefer") -> int:
    """Runs, stopped after every third batch of new work, until it is done; returns the number of attempts.

    The first batch of pairs stops it too: those are put together anew by the next attempt.
    """
    commit, listed = Store.commit_batch, False
    for attempt in range(1, 100):
        commits = 0

        def counted(store: Store, unit: str, *arguments: Any) -> None:
            nonlocal commits, listed
            commit(store, unit, *arguments)
            work = unit.count(":") > 1
            commits += work
            if commits == 3 or not (work or listed):
                listed = listed or not work
                raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(Store, "commit_batch", counted)
            try:
                run(folder, settings, until)
            except Stopped:
                continue
        return attempt
    raise AssertionError("it never ends")


MODES = {
    "on_policy": ("prefer.on_policy=base", "prefer.samples=2", "prefer.rejected=mean_minus_2sd"),
    "judge": JUDGED,
}


@pytest.mark.parametrize("mode", MODES)
def test_stopped_again_and_again_it_ends_with_the_same_files(
    mode: str, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, any_judgment: None
) -> None:
    monkeypatch.setattr(prefer, "PORTION", 3)
    monkeypatch.setattr(prefer, "LARGEST_ROUND", 6)  # several rounds
    settings = config(*MODES[mode])
    whole = Path(shutil.copytree(start, tmp_path / "whole"))
    run(whole, settings)
    assert run_in_pieces(start, settings, monkeypatch) > 2
    assert data(start) == data(whole)
    assert "data/README.md" in data(whole) and pairs(whole)


def test_several_samples_of_each_model(start: Path) -> None:
    run(start, config("prefer.samples=3"))
    found = report(start)
    counts = {m["answers"] for m in found["models"].values()}
    assert counts == {3 * (found["pairs"] + found["skipped"])}
    rows = pairs(start)
    assert any(row["chosen_model"] == row["rejected_model"] for row in rows), "samples of one model meet too"
    assert all(row["chosen_score"] > row["rejected_score"] and row["student"] is None for row in rows)


def test_an_answer_that_the_engine_failed_on_is_no_models_answer(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate, failed = TransformersEngine.generate, 0

    def gives_up(engine: TransformersEngine, requests: Any, done: Any = None) -> list[Completion]:
        nonlocal failed
        refused = [request.seed % 5 == 0 for request in requests]
        failed += sum(refused)
        written = generate(engine, requests, done)
        return [Completion((), "error", "too long") if no else c for no, c in zip(refused, written, strict=True)]

    monkeypatch.setattr(TransformersEngine, "generate", gives_up)
    run(start, config("prefer.samples=3"))
    found = report(start)
    whole = 2 * 3 * (found["pairs"] + found["skipped"])
    assert failed and sum(model["answers"] for model in found["models"].values()) == whole - failed
    with closing(Store.open(start / "run.sqlite", readonly=True)) as store:
        state = store.stage("prefer")
        assert state and f"{failed} answers failed: too long ({failed})" in state.note


def test_where_all_answers_failed_the_reason_is_said(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [Completion((), "error", "no credit")]
    monkeypatch.setattr(TransformersEngine, "generate", lambda self, requests, done=None: failing * len(requests))
    with pytest.raises(RunError) as caught:
        run(start, config())
    assert "answers failed: no credit" in caught.value.cause


def test_rounds_go_on_until_there_are_enough_pairs(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefer, "SPARE", 0.5)
    run(start, config("prefer.pairs=5"))
    assert [row["id"] for row in pairs(start)] == [f"pair-{i:06d}" for i in range(5)]
    with closing(Store.open(start / "run.sqlite", readonly=True)) as store:
        state = store.stage("prefer")
        assert state and state.rows_out == 5 and 5 <= (state.rows_in or 0) <= 12
        units = [u for (u,) in store._db.read("SELECT DISTINCT unit FROM batches") if ":scores:" in u]
        assert len(units) >= 2


@pytest.mark.parametrize("mode", ["pairwise", "pointwise"])
def test_a_judge_scores_in_place_of_the_reward_model(
    mode: str, start: Path, any_judgment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the reward model is not needed")

    monkeypatch.setattr(prefer_answers._RewardScoring, "open", never)
    run(start, config(*JUDGED, f"prefer.judge.mode={mode}"))
    found = report(start)
    assert found["judge"]["mode"] == mode and found["judge"]["judgments"] > 0
    low, high = (0, 1) if mode == "pairwise" else (1, 10)
    assert all(low <= row["rejected_score"] < row["chosen_score"] <= high for row in pairs(start))
    assert "judge | nano:responder-mistral" in (start / "data/README.md").read_text()


def test_a_judge_that_says_nothing_stops_with_the_reason(start: Path) -> None:
    with pytest.raises(RunError) as caught:
        run(start, config(*JUDGED))
    assert "There are no preference pairs" in caught.value.problem and "too few answers" in caught.value.cause
    assert report(start)["judge"]["unparsable"] == report(start)["judge"]["judgments"] > 0


def test_a_setting_that_does_not_matter_redoes_nothing(start: Path) -> None:
    run(start, config())
    for change in ("prefer.judge.criteria=rhyme", "models.judge=nano:generator", "models.responders.0.license=mit"):
        with closing(Store.open(start / "run.sqlite", readonly=True)) as store:
            steps = {s.stage.name: s.action for s in preview(config(change), RunFolder(start), store)}
        assert steps["prefer"] == "skip", change


# On-policy


def test_the_order_of_the_stages() -> None:
    on_policy = config("prefer.on_policy=sft", "prefer.samples=2")
    assert stage_names(config()) == stage_names()
    assert stage_names(on_policy)[:5] == ["generate", "filter", "sft", "prefer", "prompt_tuning"]
    assert sorted(stage_names(on_policy)) == sorted(stage_names())
    by_name = {stage.name: stage for stage in ordered(on_policy)}
    assert by_name["prefer"].inputs == ("filter", "sft")
    for order in (ordered(on_policy), ordered(config())):
        names = [stage.name for stage in order]
        assert all(names.index(i) < names.index(stage.name) for stage in order for i in stage.inputs)
    assert stage_index("prefer", on_policy) == 3
    assert {e.stage for e in estimate(on_policy, detect("cpu"))} == set(stage_names())


def test_tuned_students_answer_for_their_own_pairs(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synthetic_instruction_tuner.training import dpo

    given: dict[str, list[Any]] = {}
    train = dpo.Dpo.train

    def noted(self: Any, model: Any, adapter: Path, rows: list[Any], *rest: Any) -> Any:
        given[model.name] = rows
        return train(self, model, adapter, rows, *rest)

    monkeypatch.setattr(dpo.Dpo, "train", noted)
    settings = config("prefer.on_policy=sft", "prefer.samples=3", "train.prompt_tuning.students=none")
    run(start, settings, until="dpo")
    rows = pairs(start)
    assert [row["id"] for row in rows] == [f"pair-{i:06d}" for i in range(len(rows))]
    assert {row["student"] for row in rows} == {"student-llama", "student-qwen2"}
    assert all(row["student"] == row["chosen_model"] == row["rejected_model"] for row in rows)
    for name, mine in given.items():
        assert [p.id for p in mine] == [row["id"] for row in rows if row["student"] == name] != []
    before = data(start)
    with closing(Store.open(start / "run.sqlite", readonly=True)) as store:
        assert {s.action for s in preview(settings, RunFolder(start), store)[:6]} == {"skip"}
        other = config("prefer.on_policy=sft", "prefer.samples=3", "train.sft.learning_rate=0.003")
        actions = {s.stage.name: s.action for s in preview(other, RunFolder(start), store)}
    assert actions["filter"] == "skip" and "redo" == actions["sft"] == actions["prefer"]
    assert "Each student answered for its own pairs, after SFT" in before["data/README.md"].decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("prefer.on_policy=sft",), "samples of at least 2"),
        (("prefer.on_policy=base", "prefer.samples=2", "prefer.max_chosen_share=0.5"), "max_chosen_share"),
        (("prefer.scorer=judge",), "models.judge"),
        (("prefer.max_chosen_share=0.2",), "cannot add up"),
        (("models.responders=[nano:responder-llama]",), "nothing to compare"),
        (("prefer.rejected=random",), "worst"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_loaded(changes: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(overrides=changes)
    assert words in " ".join(caught.value.lines())


# The card


def test_the_folder_of_the_data_loads_as_a_data_set(start: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    run(start, config())
    rows = {
        name: load_dataset(str(start / "data"), name, split="train", cache_dir=str(tmp_path / "cache"))
        for name in ("preference", "filtered", "raw")
    }
    assert rows["raw"].num_rows == 12 and rows["preference"].num_rows == len(pairs(start))
    assert rows["filtered"][0]["messages"][-1]["role"] == "assistant"
    assert load_dataset(str(start / "data"), split="train", cache_dir=str(tmp_path / "c2")).num_rows == len(
        pairs(start)
    )
    card = (start / "data/README.md").read_text()
    assert "license: apache-2.0" in card and str(tmp_path) not in card
    assert f"| `raw` | {rows['raw'].num_rows} |" in card
