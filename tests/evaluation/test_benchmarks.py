from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from canned import CannedEngine, LengthReward

from random_models import byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import NANO_BENCHMARKS, BenchmarkConfig, EvaluateConfig
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.evaluation.benchmarks import base, nano_ifeval, nano_mmlu, nano_mt
from synthetic_instruction_tuner.evaluation.evaluator import Evaluator
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.nano.world.families.choice.multiple_choice import MultipleChoice
from synthetic_instruction_tuner.nano.world.families.dialogue import FirstSentence
from synthetic_instruction_tuner.nano.world.family import split_of
from synthetic_instruction_tuner.records import Message
from world_splits import split_of_conversation


def settings(ifeval: int, mmlu: int, mt: int, temperature: float = 0.7, longest: int = 2000) -> EvaluateConfig:
    return EvaluateConfig.model_validate(
        {
            "nano_ifeval": {"items": ifeval, "max_new_tokens": longest},
            "nano_mmlu": {"items": mmlu},
            "nano_mt": {"items": mt, "temperature": temperature, "max_new_tokens": longest},
        }
    )


CONFIG = settings(60, 40, 40)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an evaluation opened a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer()


def run(benchmark: str, engine: CannedEngine, config: EvaluateConfig = CONFIG, reward: Any = None) -> BenchmarkResult:
    template = ChatTemplate.from_tokenizer(engine.tokenizer)
    result = Evaluator(config).evaluate(benchmark, engine, template, engine.tokenizer)
    add_rewards = base.benchmark(benchmark).add_rewards
    return add_rewards(result, reward) if reward and add_rewards else result


def gold(config: EvaluateConfig = CONFIG) -> dict[tuple[str, ...], str]:
    """Returns the right answer to each conversation, by its turns' texts."""
    found: dict[tuple[str, ...], str] = {(i.prompt,): i.reference for i in nano_ifeval.items(config.nano_ifeval.items)}
    for item in nano_mt.items(config.nano_mt.items):
        (first, second), (answer, second_answer) = item.prompts, item.references
        found[first,], found[first, answer, second] = answer, second_answer
    return found


def likes_right(right: bool) -> Any:
    questions = nano_mmlu.items(CONFIG.nano_mmlu.items)
    answers = {text: i.options[i.right] for i in questions for text in (i.prompt, i.sheet)}

    def likes(context: str, continuation: str) -> float:
        answer = next(a for text, a in answers.items() if text in context)
        said = continuation.strip().removeprefix(nano_mmlu.OPENING).strip()
        return 0.0 if (said == answer) == right else -9.0

    return likes


def test_right_answers_follow_the_rules(tokenizer: Any) -> None:
    answers = gold()
    result = run("nano_ifeval", CannedEngine(tokenizer, lambda turns: answers[tuple(turns)]))
    # The rules' language detector takes some short upper-case texts for another language.
    missed = [item for item in result.items if item.scores["prompt_strict"] != (1.0,)]
    assert len(missed) <= 2 and all(item.outputs[0].isupper() for item in missed)
    assert any(len(item.scores["rule_strict"]) == 2 for item in result.items)
    assert result.metrics[0] == result.headline == nano_ifeval.BENCHMARK.headline


def test_ifeval_notices_broken_and_loosely_followed_rules(tokenizer: Any) -> None:
    answers = gold()
    garbage = run("nano_ifeval", CannedEngine(tokenizer, lambda turns: "Oh, a Tin,"))
    assert garbage.estimate().value < 0.15
    chatty = run("nano_ifeval", CannedEngine(tokenizer, lambda turns: "Sure, I can:\n" + answers[tuple(turns)]))
    assert chatty.estimate("prompt_loose").value > chatty.estimate("prompt_strict").value + 0.1
    silent = run("nano_ifeval", CannedEngine(tokenizer))
    assert silent.estimate().value == 0 and silent.n_empty == len(silent.items)


def test_right_and_wrong_choices(tokenizer: Any) -> None:
    for right in (True, False):
        result = run("nano_mmlu", CannedEngine(tokenizer, likes=likes_right(right)))
        assert result.estimate("acc").value == result.estimate("acc_chat").value == float(right)


def test_right_talks_are_right_and_clean_and_see_their_own_first_answer(tokenizer: Any) -> None:
    answers = gold()
    engine = CannedEngine(tokenizer, lambda turns: answers[tuple(turns)])
    result = run("nano_mt", engine, reward=LengthReward())
    assert [len(call) for call in engine.calls] == [40, 40], "all items of a turn in one call"
    for metric in ("right", "clean", "right_and_clean"):
        assert result.estimate(metric).value == 1.0
    assert (result.estimate("reward").n, result.estimate("reward").clusters) == (80, 40)
    for item in result.items:
        assert item.scores["reward"] == (len(item.outputs[0]) / 100 - 1, len(item.outputs[1]) / 100 - 3)


def test_nonsense_talks_are_wrong_and_empty_ones_no_crash(tokenizer: Any) -> None:
    nonsense = run("nano_mt", CannedEngine(tokenizer, lambda turns: "Blue, I think."))
    for item in nonsense.items:
        first, second = item.scores["right"]
        # One sentence said twice does repeat its first sentence.
        assert first == 0 and (second == 0 or item.prompts[1] in FirstSentence.templates)
    silent = run("nano_mt", CannedEngine(tokenizer))
    assert silent.estimate("right").value == 0 and silent.n_empty == 80
    assert "reward" not in silent.metrics


def test_a_reward_that_is_not_a_number_stops_with_a_message(tokenizer: Any) -> None:
    class Broken:
        def score(self, items: Any) -> list[float]:
            return [float("nan")] * len(items)

    with pytest.raises(RunError, match="80 of 80"):
        run("nano_mt", CannedEngine(tokenizer, lambda turns: "x"), reward=Broken())


def test_settings_reach_the_engine(tokenizer: Any) -> None:
    config = settings(3, 40, 5, temperature=0.4, longest=7)
    engine = CannedEngine(tokenizer, lambda turns: "a longer answer than seven tokens")
    assert run("nano_mt", engine, config).n_truncated == 10
    run("nano_ifeval", engine, config)
    first, second, greedy = engine.calls
    assert {r.temperature for r in first + second} == {0.4} and {r.temperature for r in greedy} == {0.0}
    assert {r.max_new_tokens for r in first + second + greedy} == {7}
    assert len({r.seed for r in first + second}) == 10, "every answer has its own seed"


@pytest.mark.parametrize("benchmark", CONFIG.benchmarks)
def test_results_are_repeatable_and_survive_json(tokenizer: Any, benchmark: str) -> None:
    def engine() -> CannedEngine:
        return CannedEngine(tokenizer, lambda turns: turns[-1].lower(), lambda c, w: -float(hash((len(c), w[-1])) % 97))

    one, again = (run(benchmark, engine(), reward=LengthReward()) for _ in range(2))
    text = json.dumps(one.to_json())
    assert text == json.dumps(again.to_json()) and one.seconds > 0
    assert "seconds" not in text
    assert BenchmarkResult.from_json(json.loads(text)) == one


def test_all_items_are_held_out_distinct_and_nested() -> None:
    for family_items in (nano_ifeval.items, nano_mt.items):
        prompts = [getattr(i, "prompt", None) or i.prompts[0] for i in family_items(240)]  # type: ignore[attr-defined]
        assert {split_of_conversation([Message("user", p)]) for p in prompts} == {"eval"}
    family = MultipleChoice()
    for question in nano_mmlu.items(240):
        slots, template = family.parse(question.prompt) or ({}, "")
        assert split_of(family.key(slots, template)) == "eval"
    for module in (nano_ifeval, nano_mmlu, nano_mt):
        chosen = module.items(240)
        assert len({str(vars_of(i)) for i in chosen}) == 240
        assert module.items(30) == chosen[:30]
        assert module.items(30, seed=1) != chosen[:30]


def vars_of(item: Any) -> Any:
    return item.prompts if isinstance(item, nano_mt.TalkItem) else item.prompt


def test_contamination_counts_items_seen_in_training() -> None:
    evaluator = Evaluator(CONFIG)
    seen = [i.prompt.upper() + " " for i in nano_ifeval.items(2)] + [i.prompts[0] for i in nano_mt.items(1)]
    count = evaluator.contamination([*seen, "something else"])
    assert count["nano_ifeval"] == 2 and count["nano_mmlu"] == 0 and count["nano_mt"] >= 1


def test_an_unknown_benchmark_is_refused(tokenizer: Any) -> None:
    with pytest.raises(KeyError, match="nano_poetry"):
        run("nano_poetry", CannedEngine(tokenizer))


@pytest.mark.parametrize("name", NANO_BENCHMARKS)
def test_a_benchmark_says_what_it_is_and_has_settings(tokenizer: Any, name: str) -> None:
    found = base.benchmark(name)
    own = CONFIG.settings(name)
    assert found.name == name and isinstance(own, BenchmarkConfig)
    items = found.items(own)
    assert len(items) == own.items == found.work(own).items and len({item.id for item in items}) == len(items)
    engine = CannedEngine(tokenizer, lambda turns: "x", lambda context, continuation: 0.0)
    result = run(name, engine, reward=LengthReward())
    assert [item.id for item in result.items] == [item.id for item in items]
    assert set(result.metrics) == {metric.name for metric in found.metrics} and result.headline == found.headline
    generated = sum(len(call) for call in engine.calls)
    assert generated == found.work(own).items * found.work(own).answers
    assert bool(found.work(own).scored_tokens) == (not generated)


def test_a_limit_cuts_the_items_of_every_benchmark() -> None:
    cut = CONFIG.limited(50)
    own = {name: CONFIG.settings(name).items for name in NANO_BENCHMARKS}
    assert own["nano_ifeval"] == 60
    assert {name: cut.settings(name).items for name in NANO_BENCHMARKS} == {name: min(50, n) for name, n in own.items()}
    assert cut.nano_mt.temperature == CONFIG.nano_mt.temperature
