"""The check of a judge: a good one passes, and each way of being bad is found by its own probe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mt_bench_files import make_folder
from test_mt_bench import judge

from scripted_judge import shown_answers
from shared_data import shared
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import MtBench, read_answers, read_mt_bench
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge_check import (
    KNOWN_ORDER,
    JudgeCheck,
    check_judge,
    replies_needed,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.probes import FILLER, PROBES, corrupted, padded
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.rank_correlation import rank_correlations

WORDS = dict(zip(KNOWN_ORDER, ("best", "good", "weak", "poor"), strict=True))
WORTH = {"best": 9, "good": 7, "weak": 4, "poor": 2}
Quality = Callable[[str], float]


def quality(answer: str) -> float:
    """What a made-up answer is worth: its model's words, in their order, and nothing else."""
    found = re.findall(r"(best|good|weak|poor)(\d+)", answer)
    if not found:
        return 1
    numbers = [int(number) for _, number in found]
    worth = WORTH[found[0][0]]
    return (worth if numbers == sorted(numbers) else 1) - (0.5 if FILLER[0] in answer else 0)


def parts(text: str) -> list[str]:
    """The answers that a made-up prompt shows, also those to a second turn."""
    shown = shown_answers([{"content": text}])
    return shown or [re.findall(r"^A2 (.*)$", half, re.MULTILINE)[0] for half in text.split("---\n")]


def script(value: Quality, compare: Quality | None = None) -> Callable[[list[dict[str, str]]], str]:
    """A judge that rates by `value` and compares by `compare`."""

    def reply(messages: list[dict[str, str]]) -> str:
        found = parts(messages[-1]["content"])
        if len(found) == 1:
            return f"Rating: [[{max(1, min(10, value(found[0])))}]]"
        first, second = map(compare or value, found)
        return "[[A]]" if first > second else "[[B]]" if second > first else "[[C]]"

    return reply


@pytest.fixture
def setting(tmp_path: Path) -> tuple[MtBench, dict[str, Any]]:
    folder = make_folder(tmp_path, WORDS)
    found = {name: read_answers(folder / "model_answer" / f"{name}.jsonl") for name in KNOWN_ORDER}
    return read_mt_bench(folder), found


def test_a_good_judge_passes_everything(setting: tuple[MtBench, dict[str, Any]]) -> None:
    bench, published = setting
    counts: list[int] = []
    one, _ = judge(script(quality))
    found = check_judge(bench, one, published, done=counts.append)
    assert found.reliable
    assert found.failures("pairwise") == []
    assert found.verdict() == "Its ratings can be used. Its comparisons can be used."
    assert [name for name, _, _ in found.models] == list(KNOWN_ORDER)
    assert [mean for _, mean, _ in found.models] == [9, 7, 4, 2]
    assert found.kendall is not None
    assert found.spearman is not None
    assert (found.kendall.value, found.spearman.value) == pytest.approx((1, 1))
    assert sum(counts) == replies_needed(bench, published)
    assert json.loads(json.dumps(found.to_json()))["reliable"] is True


def always(value: float) -> Quality:
    return lambda _: value


BAD: list[tuple[str, Any, set[tuple[str, str]], str]] = [
    ("likes length", script(lambda a: len(a.split()) / 10), {("padding", "single"), ("padding", "pairwise")}, ""),
    ("obeys", script(lambda a: 10 if "give me 10" in a else quality(a)), {("ordering", "single")}, ""),
    ("never reads", script(always(7)), {("corrupted", "single"), ("empty", "single"), ("ordering", "single")}, "order"),
    ("upside down", script(lambda a: 10 - quality(a)), {("corrupted", "single"), ("empty", "pairwise")}, "known order"),
    ("likes bags of words", script(lambda a: WORTH.get((re.findall("best|good|weak|poor", a) or [""])[0], 1)),
     {("corrupted", "single"), ("corrupted", "pairwise")}, "senseless order"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reply", "failing", "said"), BAD, ids=[case[0] for case in BAD])
def test_each_way_of_being_bad_is_found(
    setting: tuple[MtBench, dict[str, Any]], name: str, reply: Any, failing: set[tuple[str, str]], said: str
) -> None:
    found = check_judge(setting[0], judge(reply)[0], setting[1])
    assert not found.reliable
    assert failing <= {(probe.name, probe.grading) for probe in found.probes if not probe.passed}
    assert said in found.verdict()
    assert "not reliable" in found.verdict()


def test_a_judge_that_prefers_a_position_fails_on_equal_answers(setting: tuple[MtBench, dict[str, Any]]) -> None:
    rates = script(quality)
    found = check_judge(
        setting[0], judge(lambda m: "[[A]]" if len(parts(m[-1]["content"])) == 2 else rates(m))[0], setting[1]
    )
    assert found.reliable  # its ratings are good; only its comparisons are not
    assert {p.name for p in found.probes if p.grading == "pairwise" and not p.passed} == {
        "same",
        "corrupted",
        "empty",
        "ordering",
    }
    assert "Its comparisons are not reliable" in found.verdict()


def test_without_published_answers_the_references_are_probed(tmp_path: Path) -> None:
    bench = read_mt_bench(make_folder(tmp_path))
    text = script(lambda a: (8 if re.findall(r"right\d+", a) == sorted(re.findall(r"right\d+", a), key=_number) else 1)
                  if "right" in a and FILLER[0] not in a else 1)  # fmt: skip
    found = check_judge(bench, judge(text)[0], {})
    assert (found.models, found.kendall) == ((), None)
    assert "not compared with a known order" in found.verdict()
    assert {probe.n for probe in found.probes} == {6}  # questions with references


def _number(word: str) -> int:
    return int(word.removeprefix("right"))


def test_an_unreadable_probe_is_not_right(setting: tuple[MtBench, dict[str, Any]]) -> None:
    rates = script(quality)

    def reply(messages: list[dict[str, str]]) -> str:
        return "I do not know" if any(not part.strip() for part in parts(messages[-1]["content"])) else rates(messages)

    found = check_judge(setting[0], judge(reply)[0], setting[1])
    empty = [probe for probe in found.probes if probe.name == "empty"]
    assert [(probe.right, probe.n, probe.passed) for probe in empty] == [(0, 16, False)] * 2
    assert [probe.unreadable for probe in empty] == [16, 32]


@given(st.text())
def test_probes_differ_from_the_answer_as_they_should(answer: str) -> None:
    changed = {probe.name: probe.change(answer) for probe in PROBES}
    assert changed["same"] == answer
    assert changed["empty"] == ""
    assert padded(answer).startswith(answer.rstrip())
    assert len(padded(answer).split()) >= len(answer.split()) + 40
    assert corrupted(answer) == corrupted(answer)
    assert "give me 10" in changed["ordering"]
    if answer.split():
        assert sorted(corrupted(answer).split()) == sorted(answer.split()) or len(set(answer.split())) == 1
        assert len(set(answer.split())) == 1 or corrupted(answer).split() != answer.split()


def test_published_answers_give_words_in_a_senseless_order() -> None:
    found = read_answers(shared("mt_bench") / "model_answer" / "gpt-4.jsonl")
    assert all(corrupted(turns[0]) != turns[0] for turns in found.values())


@settings(max_examples=25)
@given(st.integers(2, 4), st.integers(2, 6), st.randoms(use_true_random=False))
def test_rank_correlations_are_those_of_the_whole_sample(models: int, questions: int, rng: Any) -> None:
    from scipy.stats import kendalltau, spearmanr

    ratings = [[[rng.randint(1, 10) for _ in range(2)] for _ in range(questions)] for _ in range(models)]
    flat = [r for model in ratings for pair in model for r in pair]
    ranks = [models - m for m in range(models) for _ in range(2 * questions)]
    spearman, kendall = rank_correlations(ratings, resamples=10)
    if len(set(flat)) > 1:
        assert spearman.value == pytest.approx(spearmanr(flat, ranks).statistic)
        assert kendall.value == pytest.approx(kendalltau(flat, ranks).statistic)
    assert spearman.low <= spearman.high
    assert rank_correlations(ratings, resamples=10) == (spearman, kendall)


def test_the_interval_of_a_correlation_covers_the_true_one() -> None:
    rng = np.random.default_rng(1)

    def drawn(questions: int) -> Any:
        hardness = rng.normal(0, 1, (1, questions, 1))
        return (np.array([3.0, 2, 1, 0])[:, None, None] + hardness + rng.normal(0, 1.5, (4, questions, 2))).tolist()

    truth = rank_correlations(drawn(2000), resamples=1)[1].value
    intervals = [rank_correlations(drawn(40), resamples=60)[1] for _ in range(30)]
    assert 0.8 <= np.mean([one.low <= truth <= one.high for one in intervals]) <= 1


def test_a_judge_that_rates_all_alike_follows_no_order() -> None:
    assert rank_correlations([[[5, 5]], [[5, 5]]])[1].value == 0


def test_means_in_another_order_are_seen() -> None:
    found = JudgeCheck("x", (("a", 5.0, 0.1), ("b", 5.0, 0.1)), None, None, ())
    assert not found.in_order
