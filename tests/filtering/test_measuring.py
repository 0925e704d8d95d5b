"""Nothing is measured twice: what rules measured is stored, and a changed limit only decides again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.cli.filter_files import filter_own_files
from synthetic_instruction_tuner.config import FilterConfig, load_config
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.rule import TextRule
from synthetic_instruction_tuner.filtering.rules.model_rules import RewardFloor
from synthetic_instruction_tuner.filtering.rules.tagging import Tagger
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.stages import filter as stage_filter
from synthetic_instruction_tuner.run.stages import measuring
from synthetic_instruction_tuner.run.stages.filter import STAGE
from synthetic_instruction_tuner.run.store import Store

RECORDS = [Record(f"r{i}", f"Question {i}?", f"Word {'and so on ' * i}to the end.") for i in range(10)]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Measures with the given settings, and returns the rules that had to."""
    monkeypatch.setattr(measuring, "BATCH", 4)
    store = Store.open(tmp_path / "run.sqlite")

    def run(digest: str = "d", **settings: Any) -> list[str]:
        quality = QualityFilter(FilterConfig(**settings))
        before = store.row_count
        units: list[str] = []

        def commit(unit: str, number: int, rows: list[dict[str, Any]]) -> None:
            units.append(unit.split(":")[2])
            store.commit_batch(unit, number, rows)

        with Display(quiet=True) as display:
            values = measuring.measure(
                quality.rules, RECORDS, digest, store, commit, load_config(), detect("cpu"), display
            )
        direct = list(quality.judge(RECORDS))
        assert list(quality.judge(RECORDS, values)) == direct and before is not None
        return list(dict.fromkeys(units))

    return run


def test_a_changed_limit_measures_nothing(measured: Callable[..., list[str]]) -> None:
    everything = measured()
    assert everything == QualityFilter().rule_names[:-1]
    limits = {"min_words": 3, "max_words": 9, "max_word_repeats": 1, "max_line_repeats": 1, "max_phrase_repeats": 1}
    assert (
        measured(**limits, max_repeated_share=0.1, language="de", language_confidence=0.1, near_duplicate_threshold=0.1)
        == []
    )


def test_a_changed_rule_measures_itself_alone(measured: Callable[..., list[str]]) -> None:
    measured()
    assert measured(refusal_phrases=("no way",)) == ["refusal"]
    assert measured(refusal_rule="keywords") == ["refusal"]
    assert measured() == []
    assert measured(digest="other records") == QualityFilter().rule_names[:-1]


def test_a_new_version_of_a_rule_measures_again(
    measured: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.filtering.rules.length import ResponseLength

    measured()
    monkeypatch.setattr(ResponseLength, "version", 99)
    assert measured() == ["length"]


@pytest.mark.parametrize("change", ["reward_label=good", "reward_input=chat", "reward_max_tokens=100"])
def test_settings_of_the_scoring_score_again(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (
        load_config(overrides=["filter.min_reward=0", "filter.contamination.benchmarks=[]", *more])
        for more in ([], [f"prefer.{change}"])
    )
    assert STAGE.part(before) != STAGE.part(after)
    rules = [stage_filter.quality_filter(config).rules[-1:] for config in (before, after)]
    assert rules[0][0].basis() != rules[1][0].basis()

    scored = []
    monkeypatch.setattr(measuring, "_rewards", lambda batches, *_: [(n, [0.0] * len(batch)) for n, batch in batches])
    store = Store.open(tmp_path / "run.sqlite")

    def commit(unit: str, number: int, rows: list[dict[str, Any]]) -> None:
        scored.append(unit)
        store.commit_batch(unit, number, rows)

    rule = [RewardFloor(0.0, None)]  # one that knows nothing of these settings
    with Display(quiet=True) as display:
        for config in (before, before, after):
            measuring.measure(rule, RECORDS, "d", store, commit, config, detect("cpu"), display)
    assert len(scored) == len(set(scored)) == 2


def test_every_rules_measurement_is_plain_json() -> None:
    for rule in QualityFilter(FilterConfig()).rules:
        assert isinstance(rule, TextRule)
        for record in RECORDS:
            value = rule.measure(record)
            assert json.loads(json.dumps(value)) == value
            assert rule.decide(json.loads(json.dumps(value))) == rule.judge(record)
        json.dumps(rule.settings())


def test_the_rule_set_names_every_setting_that_decides() -> None:
    changes: list[dict[str, Any]] = [
        {"min_words": 1},
        {"max_words": 999},
        {"max_word_repeats": 9},
        {"max_line_repeats": 9},
        {"max_phrase_repeats": 9},
        {"max_repeated_share": 0.5},
        {"drop_truncated": False},
        {"near_duplicate_threshold": 0.5},
        {"refusal_phrases": ("no",)},
        {"refusal_rule": "keywords"},
        {"language": "de"},
        {"language_confidence": 0.9},
    ]
    hashes = {QualityFilter(FilterConfig(**change)).rule_set_hash for change in [{}, *changes]}
    assert len(hashes) == len(changes) + 1
    assert QualityFilter(FilterConfig(keep=5)).rule_set_hash == QualityFilter(FilterConfig()).rule_set_hash


def test_models_are_asked_once_and_go_on_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags and rewards with the embedded models; killed in the second batch, then resumed, then other limits."""
    rows = [
        {"id": f"x{i}", "instruction": f"Add {i} and 2, please.", "response": f"The sum is {i + 2}."} for i in range(6)
    ]
    source, out = tmp_path / "mine.jsonl", tmp_path / "out"
    source.write_text("\n".join(map(json.dumps, rows)) + "\n")
    settings = ["filter.tags.model=nano:responder-qwen2", "filter.tags.batch=2", "filter.tags.max_new_tokens=16"]
    settings += [
        "filter.min_words=0",
        "filter.min_reward=-100",
        "filter.contamination.benchmarks=[]",
        "filter.near_duplicate_threshold=1",
    ]
    tag, asked = Tagger.tag, [0]

    def dies(self: Tagger, records: Any, done: Any = None) -> Any:
        asked[0] += 1
        if asked[0] == 2:
            raise KeyboardInterrupt
        return tag(self, records, done)

    monkeypatch.setattr(Tagger, "tag", dies)
    with pytest.raises(KeyboardInterrupt):
        filter_own_files(load_config(overrides=settings), [source], out, quiet=True)
    assert not (out / "kept.jsonl").exists()
    report = filter_own_files(load_config(overrides=settings), [source], out, quiet=True)
    assert asked[0] == 4  # one batch, the one that died, and the two that were left
    kept = [json.loads(line) for line in (out / "kept.jsonl").read_text().splitlines()]
    assert report.kept == len(kept) == 6
    assert all(isinstance(row["reward"], float) and {"quality", "difficulty", "category"} <= row.keys() for row in kept)
    first = {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".measured")}
    whole = filter_own_files(load_config(overrides=settings), [source], tmp_path / "whole", quiet=True)
    assert whole == report
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir() if p.name in first}

    asked[0] = 10
    middle = sorted(row["reward"] for row in kept)[3]
    again = filter_own_files(
        load_config(overrides=[*settings, f"filter.min_reward={middle}"]), [source], out, quiet=True
    )
    assert asked[0] == 10 and again.kept == sum(row["reward"] >= middle for row in kept)
    dropped = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert {row["rule"] for row in dropped} <= {"reward"} and all(row["measured"] < middle for row in dropped)


def test_tags_that_the_engine_gave_up_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "mine.jsonl", tmp_path / "out"
    rows = [{"id": f"x{i}", "instruction": f"Say {i}, please.", "response": f"It is {i}."} for i in range(5)]
    source.write_text("\n".join(map(json.dumps, rows)) + "\n")
    settings = ["filter.tags.model=nano:responder-qwen2", "filter.tags.batch=2", "filter.min_words=0"]
    config = load_config(
        overrides=[*settings, "filter.contamination.benchmarks=[]", "filter.near_duplicate_threshold=1"]
    )
    asked: list[list[str]] = []

    def tag(self: Tagger, records: Any, done: Any = None) -> Any:
        asked.append([record.id for record in records])
        tags = {"quality": 4, "difficulty": 1, "category": "other"}
        failed = dict.fromkeys(tags) | {"error": "503"}
        return [failed if record.id == "x3" and len(asked) <= 3 else tags for record in records]

    monkeypatch.setattr(Tagger, "tag", tag)

    def qualities() -> list[int | None]:
        filter_own_files(config, [source], out, quiet=False)
        return [json.loads(line)["quality"] for line in (out / "kept.jsonl").read_text().splitlines()]

    assert qualities() == [4, 4, 4, None, 4] and len(asked) == 3
    assert "the engine failed on 1 requests for tags: 503 (1)" in "".join(capsys.readouterr())
    assert qualities() == [4] * 5 and asked[3:] == [["x2", "x3"]]  # the one batch that failed
    assert "503" not in "".join(capsys.readouterr())
    assert qualities() == [4] * 5 and len(asked) == 4
