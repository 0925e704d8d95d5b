"""Which answers make a pair: each guard, which answer is rejected, what is passed over, shares of the chosen."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.preference.pair_selection import (
    REASONS,
    NoPair,
    SelectedPair,
    SkippedRecord,
    length_ratio,
    score_of,
    select_pair,
    word_similarity,
)
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder, request_seed
from synthetic_instruction_tuner.preference.report import PreferenceReport
from synthetic_instruction_tuner.records import Answer, PreferencePair, Record

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"


def answers(*parts: tuple[Any, ...]) -> list[Answer]:
    """Answers of models a, b, c from (text, score[, truncated])."""
    return [Answer("r", "abcdefgh"[i], p[0], score=p[1], truncated=len(p) > 2) for i, p in enumerate(parts)]


def made(*parts: tuple[Any, ...], barred: tuple[str, ...] = (), **rules: Any) -> SelectedPair | NoPair:
    return select_pair(answers(*parts), PreferConfig(**rules), barred)


def test_nearly_the_same_answer_is_skipped_or_passed_over() -> None:
    assert word_similarity(LONG, LONG + " eighteen") == pytest.approx(17 / 18)
    skipped = made((LONG, 2.0), (LONG + " eighteen", 1.0))
    assert isinstance(skipped, NoPair) and skipped.reason == "near_identical"
    choice = made((LONG, 2.0), ("something else", 1.0), (LONG.upper() + " eighteen", 0.0))
    assert isinstance(choice, SelectedPair)
    assert (choice.rejected.text, choice.passed_over) == ("something else", ("near_identical",))
    assert isinstance(made((LONG, 2.0), (LONG + " eighteen", 1.0), max_similarity=1.0), SelectedPair)
    reordered = made(("a b c", 1.0), ("c b a", 0.0), max_similarity=1.0)
    assert isinstance(reordered, NoPair) and reordered.reason == "near_identical"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It is 4.", "It is 4!"),
        ("The cat, sat.", "the cat sat"),
        ("这是一个很好的答案。我同意。", "这是一个很好的答案！我同意"),
        ("**Yes**, I don't.", "Yes: I don’t"),
        ("...", "!"),
    ],
)
def test_answers_that_differ_in_punctuation_alone_are_near_identical(first: str, second: str) -> None:
    assert word_similarity(first, second) == word_similarity(second, first) == length_ratio(first, second) == 1.0
    skipped = made((first, 2.0), (second, 1.0), max_similarity=1.0)
    assert isinstance(skipped, NoPair) and skipped.reason == "near_identical"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It is 4.", "It is -4."),
        ("3.5", "35"),
        ("3.5", "3,5"),
        ("4", "5"),
        ("a * b", "a + b"),
        ("x=y*2", "x=y+2"),
        ("5%", "5"),
        ("C#", "C"),
        ("👍", "👎"),
        ("今天的天气很好", "明天的天气不好"),
        ("दिन", "दान"),
    ],
)
def test_short_answers_that_say_something_else_make_a_pair(first: str, second: str) -> None:
    assert isinstance(made((first, 2.0), (second, 1.0)), SelectedPair)


def test_the_length_of_unspaced_text_is_its_characters() -> None:
    assert length_ratio("今天的天气很好。", "很好") == 3.5


def test_length_matched_pairs() -> None:
    assert [length_ratio(*texts) for texts in (("a b", "a"), ("a", "a b c"), ("", ""), ("", "a"))] == [
        2,
        3,
        1,
        math.inf,
    ]
    choice = made(("a b c d", 2.0), ("x y z", 1.0), ("q", 0.0), max_length_ratio=1.5)
    assert isinstance(choice, SelectedPair)
    assert (choice.rejected.text, choice.passed_over) == ("x y z", ("length_mismatch",))
    skipped = made(("a b c d", 2.0), ("q", 0.0), max_length_ratio=1.5)
    assert isinstance(skipped, NoPair) and skipped.reason == "length_mismatch"
    free = made(("a b c d", 2.0), ("x y z", 1.0), ("q", 0.0))
    assert isinstance(free, SelectedPair) and (free.rejected.text, free.passed_over) == ("q", ())


def test_answers_that_were_cut_off() -> None:
    cut = (("best", 2.0, True), ("middle", 1.0), ("worst", 0.0, True))
    skipped = made(*cut)
    assert isinstance(skipped, NoPair) and skipped.reason == "chosen_truncated"
    allowed = made(*cut, truncated="allowed")
    assert isinstance(allowed, SelectedPair) and allowed.chosen.truncated and allowed.rejected.truncated
    unused = made(*cut, truncated="not_used")
    assert isinstance(unused, NoPair) and unused.reason == "too_few_answers"
    pair = PreferenceBuilder(PreferConfig(truncated="allowed"), 1).add(Record("r", "q"), answers(*cut))
    assert isinstance(pair, PreferencePair) and pair.chosen_truncated and pair.rejected_truncated


def test_the_rejected_answer_two_deviations_below_the_mean() -> None:
    scores = [0.0, 0.1, -0.1, 0.2, -0.2, 0.05, -0.05, -9.0, -5.0, 0.15, 0.1, 0.0, 0.02, 0.01, -0.03]
    given_answers = [Answer("r", "m", f"text {i}", score=s, sample=i) for i, s in enumerate(scores)]
    target = statistics.fmean(scores) - 2 * statistics.pstdev(scores)
    expected = min(scores, key=lambda s: abs(s - target))
    choice = select_pair(given_answers, PreferConfig(rejected="mean_minus_2sd"))
    assert isinstance(choice, SelectedPair)
    assert score_of(choice.rejected) == expected == -5.0
    worst = select_pair(given_answers, PreferConfig())
    assert isinstance(worst, SelectedPair) and score_of(worst.rejected) == -9.0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5, unique=True))
def test_with_up_to_five_answers_both_ways_reject_the_worst(scores: list[float]) -> None:
    given_answers = [Answer("r", f"m{i}", f"text {i}", score=s) for i, s in enumerate(scores)]
    assert select_pair(given_answers, PreferConfig(rejected="mean_minus_2sd")) == select_pair(
        given_answers, PreferConfig()
    )


TEXTS = st.text(st.sampled_from("ab "), max_size=8)
ANSWERS = st.lists(
    st.tuples(st.sampled_from("abc"), TEXTS, st.sampled_from([None, math.nan, -1.0, 0.0, 0.5, 2.0]), st.booleans()),
    max_size=9,
)
RULES = st.fixed_dictionaries(
    {
        "rejected": st.sampled_from(["worst", "mean_minus_2sd"]),
        "truncated": st.sampled_from(["not_chosen", "not_used", "allowed"]),
        "min_margin": st.sampled_from([0.0, 0.6]),
        "max_similarity": st.sampled_from([0.5, 1.0]),
        "max_length_ratio": st.sampled_from([None, 1.0, 2.0]),
    }
)


@settings(max_examples=300, deadline=None)
@given(ANSWERS, RULES, st.sets(st.sampled_from("abc"), max_size=2), st.randoms(use_true_random=False))
def test_whatever_the_rules_a_pair_is_sound_and_the_order_does_not_matter(
    parts: list[Any], rules: dict[str, Any], barred: set[str], rng: random.Random
) -> None:
    config = PreferConfig(**rules)
    given_answers = [Answer("r", m, text, cut, score, i) for i, (m, text, score, cut) in enumerate(parts)]
    found = select_pair(given_answers, config, barred)
    rng.shuffle(given_answers)
    again = select_pair(given_answers, config, barred)
    assert type(found) is type(again)
    if isinstance(found, NoPair) or isinstance(again, NoPair):
        assert found == again and found.reason in REASONS
        return
    assert (found.chosen.text, found.rejected.text) == (again.chosen.text, again.rejected.text)
    chosen, rejected = found.chosen, found.rejected
    assert chosen.text.strip() and rejected.text.strip() and chosen.text.strip() != rejected.text.strip()
    assert score_of(chosen) - score_of(rejected) > config.min_margin
    assert word_similarity(chosen.text, rejected.text) < config.max_similarity
    if config.max_length_ratio is not None:
        assert length_ratio(chosen.text, rejected.text) <= config.max_length_ratio
    assert chosen.model not in barred
    assert config.truncated == "allowed" or not chosen.truncated
    assert config.truncated != "not_used" or not rejected.truncated


def strong_and_weak(count: int, share: float, rng: random.Random) -> list[tuple[Record, list[Answer]]]:
    """Records on which the strong model wins with this probability; a third model stands between."""
    found = []
    for i in range(count):
        wins = rng.random() < share
        scores = {"strong": 2.0 if wins else 0.0, "weak": 0.0 if wins else 2.0, "mid": 1.0}
        found.append((Record(f"r{i}", "q"), [Answer(f"r{i}", m, f"{m} {i}", score=s) for m, s in scores.items()]))
    return found


@pytest.mark.parametrize("cap", [1.0, 0.6, 0.5, 0.34])
@pytest.mark.parametrize("pairs", [1, 7, 100])
def test_no_model_has_more_than_its_share_of_the_chosen(cap: float, pairs: int) -> None:
    builder = PreferenceBuilder(PreferConfig(pairs=pairs, max_chosen_share=cap), seed=1)
    chosen: Counter[str] = Counter()
    for record, found in strong_and_weak(200, 0.9, random.Random(0)):
        one = builder.add(record, found)
        if one is None:
            break
        if isinstance(one, SkippedRecord):  # the one model that is left has the worst answer
            assert one.reason == "model_share" and cap < 0.5
            continue
        chosen[one.chosen_model] += 1
        assert max(chosen.values()) <= math.ceil(cap * chosen.total() - 1e-9)
    assert chosen.total() == pairs or cap < 0.5
    free = PreferenceBuilder(PreferConfig(pairs=pairs), 1)
    for record, found in strong_and_weak(200, 0.9, random.Random(0)):
        free.add(record, found)
    if cap in (0.5, 0.6) and pairs == 100:
        assert free.pairs == 100 and free.statistics.models()["strong"]["chosen"] > 80
        passed_over = {row["guard"]: row["passed_over"] for row in builder.statistics.guards()}
        assert passed_over["model_share"] > 20


def test_a_record_that_only_barred_models_answer_is_skipped() -> None:
    skipped = made(("good", 1.0), ("bad", 0.0), barred=("a", "b"))
    assert isinstance(skipped, NoPair) and skipped.reason == "model_share"
    last = made(("good", 1.0), ("bad", 0.0), barred=("a",))
    assert isinstance(last, NoPair) and last.reason == "model_share"


def test_several_samples_of_a_model_have_seeds_of_their_own() -> None:
    seeds = [request_seed(1, "m", "r", sample) for sample in range(50)]
    assert len(set(seeds)) == 50 and seeds[0] == request_seed(1, "m", "r")


def test_every_guard_is_counted_in_the_report() -> None:
    config = PreferConfig(min_margin=0.5, max_length_ratio=1.5)
    cases: list[list[Answer]] = [
        answers(("x", 1.0)),
        answers(("x", 1.0), ("x ", 0.0)),
        answers(("x", 1.0), ("y", 1.0)),
        answers(("x", 1.0, True), ("y", 0.0)),
        answers(("x", 1.0), ("y", 0.75)),
        answers((LONG, 1.0), (LONG + " more", 0.0)),
        answers(("a b c d", 1.0), ("x", 0.0)),
        answers(("a b", 1.0), ("x", 0.0), ("y z", 0.25)),
        answers(("a b", 1.0), ("y z", 0.0, True)),
    ]
    builder = PreferenceBuilder(config, 1)
    for found in cases:
        builder.add(Record("r", "q"), found)
    builder.statistics.add_skipped("model_share")
    made_report = PreferenceReport.from_statistics(builder.statistics)
    report = made_report.to_json()
    assert {row["guard"]: row["skipped"] for row in report["guards"]} == dict.fromkeys(REASONS, 1)
    assert {row["guard"]: row["passed_over"] for row in report["guards"]}["length_mismatch"] == 1
    assert report["skipped"] == 8 == sum(report["skip_reasons"].values()) and report["pairs"] == 2
    assert report["truncated"] == {"answers": 2, "chosen": 0, "rejected": 1}
    assert report["settings"]["max_length_ratio"] == 1.5 and len(report["settings_hash"]) == 16
    page = made_report.to_markdown()
    assert all(f"| {reason} | 1 |" in page for reason in REASONS)


def test_the_length_bias_is_what_it_is() -> None:
    """The longest answer wins in three of four prompts; by chance it would in one of two."""
    counted = PairStatistics(PreferConfig())
    for i, wins in enumerate((True, True, True, False)):
        long, short = Answer(f"r{i}", "a", "x " * 10, score=float(wins)), Answer(f"r{i}", "b", "y", score=0.5)
        counted.add_answers([long, short])
    found = counted.length()
    assert (found["prompts"], found["longest_best_share"], found["longest_best_by_chance"]) == (4, 0.75, 0.5)


def test_who_beats_whom_goes_by_the_mean_of_a_model_s_samples() -> None:
    counted = PairStatistics(PreferConfig())
    counted.add_answers(
        [Answer("r", m, f"{m}{s}", score=s) for m, scores in (("a", (3.0, 0.0)), ("b", (2.0, 2.0))) for s in scores]
    )
    assert counted.wins() == [{"first": "a", "second": "b", "wins": 0, "losses": 1, "ties": 0}]
