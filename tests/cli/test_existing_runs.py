"""Options on a folder that holds a run, and folders that hold none."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.cli.run import ASKED_FROM, REFUSED_FROM, agreement
from synthetic_instruction_tuner.config import change_config, load_config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.kept_settings import SETTINGS as KEPT
from synthetic_instruction_tuner.run.kept_settings import keep_settings
from synthetic_instruction_tuner.run.pipeline import STAGES, Step
from synthetic_instruction_tuner.run.planning import StageEstimate
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead, changed_settings
from synthetic_instruction_tuner.run.store import StageState, Store

Sit = Callable[..., tuple[int, str, str]]
NEED_A_RUN = (
    "filter",
    "prefer",
    "report",
    "slides",
    "evaluate",
    "compare",
    "status",
    "chat",
    "train sft",
    "run --from sft",
    "run --repair",
)
STORED = ("generate.count=123", "filter.min_words=7", "train.sft.lora.r=4", "seed=5")
SETTINGS = {
    "generate.count": st.integers(1, 5000),
    "filter.min_words": st.integers(0, 9),
    "train.sft.lora.r": st.integers(1, 64),
    "seed": st.integers(0, 9999),
    "evaluate.nano_mt.items": st.integers(1, 50),
}


def started(root: str = "runs/mine") -> RunFolder:
    folder = RunFolder(Path(root))
    folder.root.mkdir(parents=True)
    folder.config.write_text(load_config(overrides=STORED).as_json())
    store = Store.open(folder.store)
    store.begin_stage("generate", "some key", {})
    store.close()
    return folder


# Folders without a run


@pytest.mark.parametrize("verb", NEED_A_RUN)
def test_a_verb_that_needs_a_run_does_not_start_one(sit: Sit, verb: str) -> None:
    started("runs/mine")
    started("other")
    Path("empty").mkdir()
    before = set(Path().rglob("*"))
    for name in ("runs/mime", "nowhere", "a/b/c", "empty"):
        code, out, error = sit(f"{verb} -d {name}")
        assert (code, out) == (2, "") and error.startswith(f"There is no run in {name}.")
        assert "runs/mine" in error, "the runs that are there are named"
        assert ("Did you mean runs/mine?" in error) == (name == "runs/mime")
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize("verb", NEED_A_RUN)
def test_the_default_folder_needs_a_run_too(sit: Sit, verb: str) -> None:
    code, _, error = sit(verb)
    assert code == 2 and "There is no run in runs/nano." in error and "sit run" in error
    assert not any(Path().iterdir())


def test_the_message_names_the_command_that_starts_the_run(sit: Sit) -> None:
    for verb, start in (
        ("filter", "sit run --until filter"),
        ("prefer -c own.yaml", "sit run --until prefer"),
        ("train prompt", "sit run --until prompt_tuning"),
        ("report", "sit run"),
        ("slides", "sit run"),
    ):
        Path("own.yaml").write_text("seed: 3\n")
        assert f"'{start}'" in sit(f"{verb} -d typo")[2]
    assert [path.name for path in Path().iterdir()] == ["own.yaml"]


def test_own_files_with_the_settings_of_no_run(sit: Sit) -> None:
    Path("mine.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
    code, _, error = sit("filter mine.jsonl -o out -d runs/nope")
    assert code == 2 and "There is no run in runs/nope." in error and not Path("out").exists()


def test_a_name_that_a_terminal_would_act_on_is_escaped(sit: Sit) -> None:
    started("runs/mine\x1b[31m")
    assert "\x1b" not in sit("status -d runs/mine2")[2]


def test_a_run_that_was_killed_before_its_settings_were_stored_starts_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    Store.open(folder.store).close()
    assert not folder.holds_run()


def test_settings_that_are_gone_are_not_guessed(sit: Sit) -> None:
    folder = started()
    folder.config.unlink()
    with sqlite3.connect(folder.store) as db:
        db.execute("DELETE FROM facts WHERE name = 'settings'")
    db.close()
    code, _, error = sit("run -d runs/mine --set filter.min_words=3")
    assert code == 2 and "cannot be read" in error and "--profile or --config" in error
    assert not folder.config.exists()


@given(st.integers(0, 10**6), st.sampled_from(["flip", "cut", "gone", "edit"]))
def test_a_settings_file_that_was_changed_changes_nothing(place: int, damage: str) -> None:
    with TemporaryDirectory() as root:
        folder, said = RunFolder(Path(root)), list[str]()
        store = Store.open(folder.store)
        store.begin_stage("generate", "some key", {})
        text = load_config(overrides=STORED).as_json()
        for before in ("{}", text):
            keep_settings(store, folder.config, before, said.append)
        content = text.encode()
        place %= len(content)
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        edited = text.replace('"min_words": 7', '"min_words": 8').encode()
        changed = {"flip": flipped, "cut": content[:place], "edit": edited}.get(damage)
        folder.config.write_bytes(changed) if changed is not None else folder.config.unlink()
        assert folder.read_config().as_json() == text and said == []
        keep_settings(store, folder.config, text, said.append)
        assert folder.config.read_bytes() == content
        aside = [path.read_bytes() for path in folder.root.glob("config.json.damaged-*")]
        assert aside == ([changed] if changed is not None else []) and len(said) == len(aside)
        store.close()


@pytest.mark.parametrize("content", ["mine", "{}", '{"seed": 1}', None])
def test_a_settings_file_of_somebody_else_is_kept(tmp_path: Path, content: str | None) -> None:
    folder, said = RunFolder(tmp_path), list[str]()
    folder.config.write_text(content) if content is not None else folder.config.mkdir()
    with closing(Store.open(folder.store)) as store:
        keep_settings(store, folder.config, "[]", said.append)
    aside = tmp_path / "config.json.damaged-1"
    assert folder.config.read_text() == "[]" and aside.exists() and len(said) == 1
    assert content is None or aside.read_text() == content


def test_a_run_that_was_killed_before_it_wrote_its_settings_file_says_nothing_of_it(tmp_path: Path) -> None:
    folder, said = RunFolder(tmp_path), list[str]()
    store = Store.open(folder.store)
    keep_settings(store, folder.config, "{}", said.append)
    store.set_fact(KEPT, {"now": "[]", "before": "{}"})
    keep_settings(store, folder.config, "[]", said.append)
    assert said == [] and folder.config.read_text() == "[]"
    store.close()


# Options on a run


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.none(), min_size=1), st.data())
def test_a_setting_changes_and_all_others_stay(names: dict[str, None], data: st.DataObject) -> None:
    chosen = {name: data.draw(SETTINGS[name]) for name in names}
    stored = load_config(overrides=STORED)
    changed = change_config(stored, [f"{name}={value}" for name, value in chosen.items()])
    assert {line.split()[0] for line in changed_settings(stored, changed)} <= chosen.keys()
    plain = changed.model_dump()
    for name, value in chosen.items():
        place = plain
        for key in name.split("."):
            place = place[key]
        assert place == value
    assert change_config(stored) == stored and changed_settings(stored, stored) == ()


def test_another_path_of_a_stored_model_brings_another_name() -> None:
    stored = load_config(overrides=["models.reward={path: nano:reward, name: mine}"])
    changed = change_config(
        stored, ["models.students.0.path=nano:student-mamba", "models.reward.path=nano:other", "models.generator=a/b"]
    ).models
    assert [changed.students[0].name, changed.reward.name, changed.generator.name] == ["student-mamba", "mine", "b"]


def test_a_limit_on_a_run_cuts_its_counts_and_cannot_raise_them() -> None:
    stored = load_config(overrides=STORED)
    small = change_config(stored, limit=10)
    assert small.generate.count == 10 and small.train == stored.train
    assert change_config(small, ["generate.count=40"]).generate.count == 40
    with pytest.raises(UserError, match="cannot raise the limit of 10"):
        change_config(small, limit=20)


@pytest.mark.parametrize(
    ("options", "count", "words"),
    [
        ("", 123, 7),
        ("--set filter.min_words=3", 123, 3),
        ("--limit 9", 9, 7),
        ("--set filter.min_words=3 --limit 9", 9, 3),
        ("--profile nano", 1500, load_config().filter.min_words),
        ("--config own.yaml", 77, load_config().filter.min_words),
        ("--config own.yaml --set filter.min_words=3", 77, 3),
    ],
)
def test_set_and_limit_build_on_the_stored_settings_and_profile_and_config_replace_them(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, options: str, count: int, words: int
) -> None:
    started("runs/nano")
    Path("own.yaml").write_text("generate: {count: 77}\n")
    seen = []
    monkeypatch.setattr(
        "synthetic_instruction_tuner.run.execution.execute", lambda config, *_, **__: seen.append(config) or []
    )
    verbs = ("run", "generate", "filter", "prefer", "train sft", "evaluate", "report", "slides")
    for verb in verbs:
        for folder in ("-d runs/nano", "") if "--limit" not in options else ("-d runs/nano",):
            assert sit(f"{verb} {folder} {options}")[0] == 0
    assert len(seen) >= len(verbs)
    assert {(c.generate.count, c.filter.min_words) for c in seen} == {(count, words)}


def test_a_plan_of_a_new_run_points_to_the_run_that_is_there(sit: Sit) -> None:
    shutil.move(started().root, Path("runs/nano"))
    code, out, _ = sit("plan")
    assert code == 0 and "runs/nano holds a run: 'sit plan -d runs/nano'" in " ".join(out.split())


# The question


def ahead(seconds: float, *, agreed: bool = False) -> Ahead:
    state = StageState("sft", "k", "done", seconds, None, None, None, "d", "", {})
    step = Step(STAGES[3], "redo", "sft.lora.r 16 -> 4")
    stage = StageAhead(step, state, StageEstimate("sft", 5.0, 1.0, ""), another=True, agreed=agreed, seconds=5.0)
    return Ahead(("train.sft.lora.r 16 -> 4",), (stage,))


@pytest.mark.parametrize("silent", (True, False))
@pytest.mark.parametrize("terminal", (True, False))
@pytest.mark.parametrize("seconds", (0.0, ASKED_FROM - 1, ASKED_FROM, REFUSED_FROM - 1, REFUSED_FROM, 1e6))
@pytest.mark.parametrize("answer", (True, False))
def test_when_it_asks_and_when_it_refuses(
    monkeypatch: pytest.MonkeyPatch, silent: bool, terminal: bool, seconds: float, answer: bool
) -> None:
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: asked.append(1) or answer)
    if terminal and seconds >= ASKED_FROM and not answer:
        with pytest.raises(typer.Exit):
            agreement(ahead(seconds), silent=silent)
    elif not terminal and seconds >= REFUSED_FROM:
        with pytest.raises(UserError, match="--yes"):
            agreement(ahead(seconds), silent=silent)
    else:
        agreement(ahead(seconds), silent=silent)
    assert bool(asked) == (terminal and seconds >= ASKED_FROM)
    agreement(ahead(seconds, agreed=True), silent=silent)
    assert len(asked) <= 1


def test_without_standard_input_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError):
        agreement(ahead(REFUSED_FROM), silent=False)
