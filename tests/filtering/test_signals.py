"""No signal is computed twice: signals are stored, and a changed limit only decides again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.cli.single import filter_own_files
from synthetic_instruction_tuner.config import FilterConfig, ModelConfig, load_config
from synthetic_instruction_tuner.filtering import QualityFilter, signals
from synthetic_instruction_tuner.filtering.rule import TextRule
from synthetic_instruction_tuner.filtering.rules.reward import MinReward, RewardScorer
from synthetic_instruction_tuner.filtering.rules.tags import Tagger
from synthetic_instruction_tuner.filtering.signals import SignalFolder, compute_signals
from synthetic_instruction_tuner.preference.reward import model as reward_model
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.filter import STAGE
from synthetic_instruction_tuner.run.stages.filter_inputs import quality_filter

RECORDS = [Record(f"r{i}", f"Question {i}?", f"Word {'and so on ' * i}to the end.") for i in range(10)]


class Saved(SignalFolder):
    """A store that remembers the rules whose signals it was given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.names: list[str] = []

    def save(self, name: str, number: int, signals: list[Any]) -> None:
        self.names.append(name)
        super().save(name, number, signals)

    @property
    def rules(self) -> list[str]:
        return list(dict.fromkeys(name.rpartition("-")[0] for name in self.names))


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Computes the signals with the given settings, and returns the rules whose signals were not stored yet."""
    monkeypatch.setattr(signals, "BATCH", 4)

    def run(digest: str = "d", **settings: Any) -> list[str]:
        quality, store = QualityFilter(FilterConfig(**settings)), Saved(tmp_path)
        found = compute_signals(quality.rules, RECORDS, store, digest)
        assert list(quality.check(RECORDS, found)) == list(quality.check(RECORDS))
        return store.rules

    return run


def test_a_changed_limit_computes_nothing(computed: Callable[..., list[str]]) -> None:
    everything = computed()
    assert everything == QualityFilter().rule_names[:-1]
    limits = {"min_words": 3, "max_words": 9, "max_word_repeats": 1, "max_line_repeats": 1, "max_phrase_repeats": 1}
    assert (
        computed(**limits, max_repeated_share=0.1, language="de", language_confidence=0.1, near_duplicate_threshold=0.1)
        == []
    )


def test_a_changed_rule_computes_its_own_signals_alone(computed: Callable[..., list[str]]) -> None:
    computed()
    assert computed(refusal_phrases=("no way",)) == ["refusal"]
    assert computed(refusal_rule="keywords") == ["refusal"]
    assert computed() == []
    assert computed(digest="other records") == QualityFilter().rule_names[:-1]


def test_a_new_version_of_a_rule_computes_again(
    computed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.filtering.rules.length import ResponseLength

    computed()
    monkeypatch.setattr(ResponseLength, "version", 99)
    assert computed() == ["length"]


@pytest.mark.parametrize("change", ["reward_label=good", "reward_input=chat", "reward_max_tokens=100"])
def test_settings_of_the_scoring_score_again(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (
        load_config(overrides=["filter.min_reward=0", "filter.contamination.benchmarks=[]", *more])
        for more in ([], [f"prefer.{change}"])
    )
    assert STAGE.part(before) != STAGE.part(after)
    rules = [quality_filter(config).rules[-1:] for config in (before, after)]
    assert rules[0][0].basis() != rules[1][0].basis()

    class Zeros:
        def score(self, items: Sequence[Any], done: Any = None) -> list[float]:
            return [0.0] * len(items)

    monkeypatch.setattr(reward_model, "open_reward_model", lambda *_: nullcontext(Zeros()))
    store = Saved(tmp_path)
    for rule in (rules[0], rules[0], rules[1]):
        assert compute_signals(rule, RECORDS, store, "d") == {"reward": [0.0] * len(RECORDS)}
    assert len(store.names) == len(set(store.names)) == 2


@pytest.mark.parametrize("sizes", [(2, 5), (5, 2), (20, 3), (3, 20)])
def test_batches_of_another_size_are_not_mixed_up(sizes: tuple[int, int], tmp_path: Path) -> None:
    class Numbers:
        def score(self, items: Sequence[Any], done: Any = None) -> list[float]:
            return [float(len(response)) for _, response in items]

    store, expected = SignalFolder(tmp_path), [float(len(record.response)) for record in RECORDS]
    for size in sizes:
        scorer = RewardScorer(ModelConfig(path="nano:reward"), {}, size, lambda: nullcontext(Numbers()))
        assert compute_signals([MinReward(0.0, scorer)], RECORDS, store, "d") == {"reward": expected}


def test_every_rules_signal_is_plain_json() -> None:
    for rule in QualityFilter(FilterConfig()).rules:
        assert isinstance(rule, TextRule)
        for record in RECORDS:
            value = rule.signal(record)
            assert json.loads(json.dumps(value)) == value
            assert rule.decide(json.loads(json.dumps(value))) == rule.check(record)
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
    first = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    whole = filter_own_files(load_config(overrides=settings), [source], tmp_path / "whole", quiet=True)
    assert whole == report
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir() if p.is_file()}

    asked[0] = 10
    middle = sorted(row["reward"] for row in kept)[3]
    again = filter_own_files(
        load_config(overrides=[*settings[:4], f"filter.min_reward={middle}", *settings[5:]]), [source], out, quiet=True
    )
    assert asked[0] == 10 and again.kept == sum(row["reward"] >= middle for row in kept)
    dropped = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert {row["rule"] for row in dropped} <= {"reward"} and all(row["value"] < middle for row in dropped)


def test_tags_whose_request_failed_are_asked_for_again(
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
    assert "1 request for tags failed: 503 (1)" in "".join(capsys.readouterr())
    assert qualities() == [4] * 5 and asked[3:] == [["x2", "x3"]]  # the one batch that failed
    assert "503" not in "".join(capsys.readouterr())
    assert qualities() == [4] * 5 and len(asked) == 4
