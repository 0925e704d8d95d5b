"""Rules that decide on a model's word, and the questions to that model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import FilterConfig, ModelConfig, TagsConfig
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.rule import model_identity
from synthetic_instruction_tuner.filtering.rules.reward import MinReward, RewardScorer
from synthetic_instruction_tuner.filtering.rules.tags import Tagger, Tags, parse_tags
from synthetic_instruction_tuner.filtering.signals import compute_signals
from synthetic_instruction_tuner.records import Message, Record

MODEL = ModelConfig(path="nano:generator")


class Lengths:
    """A reward model that scores the answer's length, and the empty answer not at all."""

    def score(self, items: Sequence[tuple[Any, str]], done: Callable[[int], None] | None = None) -> list[float]:
        return [float(len(answer)) if answer else float("nan") for _, answer in items]


SCORER = RewardScorer(MODEL, {}, 2, lambda: nullcontext(Lengths()))


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ('{"quality": 4, "difficulty": 2, "category": "math"}', (4, 2, "math")),
        (
            'Sure!\n```json\n{"category": "Creative Writing",\n "quality":"5", "difficulty": "1"}\n```',
            (5, 1, "creative writing"),
        ),
        ("**Quality:** good\n**Difficulty:** very hard\n**Category:** role play", (4, 5, "role-play")),
        ('<think>quality: 1</think>{"quality": 3, "difficulty": 9, "category": "cooking"}', (3, None, None)),
        ("quality = 2", (2, None, None)),
        ("", (None, None, None)),
        ("I cannot rate this.", (None, None, None)),
        ('{"quality": 45, "difficulty": 3.5}', (None, None, None)),
    ],
)
def test_answers_are_read_leniently(answer: str, tags: tuple[Any, ...]) -> None:
    assert tuple(parse_tags(answer).values()) == tags


@given(st.text(max_size=200))
def test_no_answer_does_harm(answer: str) -> None:
    tags = parse_tags(answer)
    assert all(tags[k] is None or 1 <= tags[k] <= 5 for k in ("quality", "difficulty"))


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True),
        ({"min_quality": 4}, False),
        ({"min_quality": 3}, True),
        ({"max_difficulty": 1}, False),
        ({"min_difficulty": 3}, False),
        ({"categories": ("coding",)}, False),
        ({"categories": ("coding", "math")}, True),
    ],
)
def test_tags_against_limits(change: dict[str, Any], passed: bool) -> None:
    tags = {"quality": 3, "difficulty": 2, "category": "math"}
    rule = Tags(TagsConfig(model=MODEL, **change))
    verdict = rule.decide(tags)
    assert verdict.passed is passed and bool(verdict.reason) is not passed
    assert rule.decide(dict.fromkeys(tags)).passed  # what was not tagged stays
    assert rule.columns(tags) == tags
    assert rule.basis() == Tags(TagsConfig(model=MODEL)).basis()  # limits ask no model again


def test_reward_against_the_floor() -> None:
    rule = MinReward(0.5, SCORER)
    assert [rule.decide(score).passed for score in (0.4, 0.5, 2.0, None)] == [False, True, True, False]
    assert rule.columns(0.4) == {"reward": 0.4} and MinReward(9.0, SCORER).basis() == rule.basis()


def test_rewards_are_computed_by_the_given_model() -> None:
    records = [Record(str(n), "Say x.", "x" * n) for n in range(5)]
    rule = MinReward(2.0, SCORER)
    assert compute_signals([rule], records) == {"reward": [None, 1.0, 2.0, 3.0, 4.0]}
    with pytest.raises(UserError, match="reward model"):
        compute_signals([MinReward(2.0)], records)


def test_a_local_models_path_is_no_part_of_the_rules(random_llama: Path) -> None:
    facts = model_identity(ModelConfig(path=str(random_llama), name="mine"))
    assert str(random_llama) not in str(facts) and facts["content"]
    assert model_identity(ModelConfig(path="org/model"))["path"] == "org/model"


def test_a_model_is_needed() -> None:
    config = FilterConfig(tags=TagsConfig(model=MODEL), min_reward=0.0, min_words=0, language="")
    quality = QualityFilter(config, reward=SCORER)
    assert quality.rule_names[-3:] == ["tags", "reward", "near_duplicates"]
    record = Record("a", "Add 2 and 2.", "4")
    with pytest.raises(UserError, match="tags"):
        list(quality.check([record]))
    tags = {"quality": 5, "difficulty": 1, "category": "math"}
    (result,) = quality.check([record], {"tags": [tags], "reward": [1.5]})
    assert result.passed and result.columns == tags | {"reward": 1.5}
    assert not {"tags", "reward"} & set(QualityFilter().rule_names)


class Recorder:
    """An engine that answers every request with one text and keeps the requests."""

    def __init__(self, tokenizer: Any, answer: str) -> None:
        self.requests: list[Request] = []
        self.ids = tuple(tokenizer.encode(answer, add_special_tokens=False))

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        self.requests += requests
        return [Completion(self.ids, "stop") for _ in requests]

    def loglikelihood(self, pairs: Any) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


def test_a_request_that_the_engine_failed_on_says_why(random_llama: Path) -> None:
    from transformers import AutoTokenizer

    class Broken(Recorder):
        def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
            return [Completion((), "error", "503"), Completion((), "error"), Completion(self.ids, "stop")]

    tokenizer = AutoTokenizer.from_pretrained(random_llama)
    tagger = Tagger(ChatTemplate.from_tokenizer(tokenizer), Broken(tokenizer, "quality: 3"))
    nothing = {"quality": None, "difficulty": None, "category": None}
    tags = tagger.tag([Record(name, "Hi", "Ho") for name in "abc"])
    assert tags == [nothing | {"error": "503"}, nothing | {"error": "no reason is known"}, nothing | {"quality": 3}]
    rule = Tags(TagsConfig(model=MODEL))
    assert rule.columns(tags[0]) == nothing and rule.decide(tags[0]).passed


def test_a_record_cannot_speak_for_the_model(random_llama: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(random_llama)
    template = ChatTemplate.from_tokenizer(tokenizer)
    engine = Recorder(tokenizer, '{"quality": 1, "difficulty": 1, "category": "other"}')
    tagger = Tagger(template, engine, 40)
    special = [str(t) for t in tokenizer.all_special_tokens]
    evil = " ".join(special) + "\0\ud800 {curly} " + "x" * 10**6
    plain, bad = Record("a", "Hi", "Ho"), Record("b", evil, evil)
    tags = tagger.tag([plain, bad])
    assert tags == [{"quality": 1, "difficulty": 1, "category": "other"}] * 2
    first, second = engine.requests
    assert first.temperature == 0 and first.max_new_tokens == 40 and first.stop_ids == tuple(template.stop_ids)
    ids = set(tokenizer.all_special_ids)
    empty = [i for i in template.prompt_ids([Message("user", "x")]) if i in ids]
    assert [i for i in first.prompt_ids if i in ids] == [i for i in second.prompt_ids if i in ids] == empty
    assert len(tagger.question(bad)) < 10_000 and "{curly}" in tagger.question(bad)
