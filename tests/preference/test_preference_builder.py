"""Preference pairs: each guard, order independence, seeds, and the report's numbers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import PreferConfig, SamplingConfig
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.preference.pair_selection import SkippedRecord
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder, request_seed
from synthetic_instruction_tuner.preference.report import PreferenceReport
from synthetic_instruction_tuner.preference.reward.model import RewardModel
from synthetic_instruction_tuner.preference.scoring import Answered
from synthetic_instruction_tuner.preference.summary_statistics import cohens_d
from synthetic_instruction_tuner.records import Answer, Message, PreferencePair, Record

RECORD = Record("r", "Why?", "So.")


def builder(**settings: Any) -> PreferenceBuilder:
    return PreferenceBuilder(PreferConfig(**settings), seed=1)


def answers(*parts: tuple[Any, ...]) -> list[Answer]:
    """Answers of models a, b, c from (text, score[, truncated])."""
    return [Answer("r", "abcdef"[i], p[0], score=p[1], truncated=len(p) > 2) for i, p in enumerate(parts)]


def test_the_best_stands_against_the_worst() -> None:
    pair = builder().add(RECORD, answers(("mid", 0.5), ("good", 2.0), ("bad", -1.0)))
    assert isinstance(pair, PreferencePair)
    assert (pair.id, pair.chosen, pair.rejected, pair.chosen_model, pair.rejected_model) == (
        "pair-000000",
        "good",
        "bad",
        "b",
        "c",
    )
    assert pair.margin == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("given_answers", "reason"),
    [
        ((), "too_few_answers"),
        ((("x", 1.0),), "too_few_answers"),
        ((("x", 1.0), ("  \n", 0.0)), "too_few_answers"),
        ((("x", 1.0), ("y", math.nan)), "too_few_answers"),
        ((("x", 1.0), ("y", None)), "too_few_answers"),
        ((("x", 1.0), ("y", -math.inf)), "too_few_answers"),
        ((("x", 1.0), (" x\n", 0.5)), "identical_answers"),
        ((("x", 1.0), ("y", 1.0), ("z", 1.0)), "equal_scores"),
        ((("x", 1.0), ("y", 0.75)), "small_margin"),
        ((("x", 2.0, True), ("y", 0.0)), "chosen_truncated"),
    ],
)
def test_guards(given_answers: tuple[Any, ...], reason: str) -> None:
    skipped = builder(min_margin=0.25).add(RECORD, answers(*given_answers))
    assert isinstance(skipped, SkippedRecord)
    assert skipped.reason == reason


def test_equal_texts_count_once_and_a_third_still_makes_a_pair() -> None:
    pair = builder().add(RECORD, answers(("same", 1.0), ("same ", 1.0), ("other", 0.0)))
    assert isinstance(pair, PreferencePair)
    assert (pair.chosen, pair.rejected) == ("same", "other")


def test_a_truncated_answer_may_be_rejected() -> None:
    assert isinstance(builder().add(RECORD, answers(("x", 1.0), ("y", 0.0, True))), PreferencePair)


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(["", "x", " x", "y", "long text"]),
        st.sampled_from([None, math.nan, -1.0, 0.0, 0.1, 2.0]),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(ANSWERS, st.sampled_from([0.0, 0.5]), st.randoms(use_true_random=False))
def test_a_pair_is_sound_and_does_not_depend_on_the_order(parts: list[Any], margin: float, rng: random.Random) -> None:
    given_answers = [Answer("r", f"m{i}", text, cut, score) for i, (text, score, cut) in enumerate(parts)]
    made = builder(min_margin=margin).add(RECORD, given_answers)
    rng.shuffle(given_answers)
    assert builder(min_margin=margin).add(RECORD, given_answers) == made
    if isinstance(made, PreferencePair):
        assert made.chosen.strip() != made.rejected.strip()
        assert made.margin > margin
        assert made.chosen.strip() and made.rejected.strip()


def built(builder: PreferenceBuilder, answered: Iterable[Answered]) -> tuple[list[PreferencePair], list[SkippedRecord]]:
    """The pairs and the skipped records that the answers give."""
    made = [builder.add(*one) for one in answered]
    skipped = [one for one in made if isinstance(one, SkippedRecord)]
    return [one for one in made if isinstance(one, PreferencePair)], skipped


def test_build_stops_at_the_wanted_number_and_numbers_the_pairs() -> None:
    records = [Record(f"raw-{i}", "q", "a") for i in range(6)]
    by_record = {
        r.id: [Answer(r.id, "a", "good", score=1.0), Answer(r.id, "b", "good" if i == 1 else "bad", score=0.0)]
        for i, r in enumerate(records)
    }
    del by_record["raw-2"]
    make = builder(pairs=3)
    pairs, skipped = built(make, [(record, by_record.get(record.id, [])) for record in records])
    assert [(p.id, p.record_id) for p in pairs] == [
        ("pair-000000", "raw-0"),
        ("pair-000001", "raw-3"),
        ("pair-000002", "raw-4"),
    ]
    assert [(r.record_id, r.reason) for r in skipped] == [("raw-1", "identical_answers"), ("raw-2", "too_few_answers")]
    assert make.complete and make.records == 6 and make.add(records[0], by_record["raw-0"]) is None
    assert make.statistics.models()["a"]["answers"] == 6, "answers count also once there are enough pairs"


def test_builders_that_share_statistics_number_their_pairs_together() -> None:
    counted = PairStatistics(PreferConfig())
    for student in ("s1", "s2"):
        make = PreferenceBuilder(PreferConfig(), 1, student, counted)
        pair = make.add(RECORD, answers(("good", 1.0), ("bad", 0.0)))
        assert isinstance(pair, PreferencePair) and pair.student == student and make.pairs == 1
        assert pair.id == f"pair-{counted.pairs - 1:06d}"
    assert counted.pairs == counted.records == 2


def test_a_failed_request_is_no_answer() -> None:
    make = builder()
    failed = Answer("r", "c", "", error="too long", score=3.0)
    assert isinstance(make.add(RECORD, [*answers(("good", 1.0), ("bad", 0.0)), failed]), PreferencePair)
    assert make.statistics.failed == {"too long": 1} and set(make.statistics.models()) == {"a", "b"}


class EchoEngine:
    """Answers with the seed's digits; cut off when the limit is below three tokens."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        self.requests += requests
        return [Completion((r.seed % 50, 7), "length" if r.max_new_tokens < 3 else "stop") for r in requests]


TEMPLATE = SimpleNamespace(
    prompt_ids=lambda messages: [len(messages), 1], stop_ids=(9,), decode=lambda ids, prompt: str(list(ids))
)


def test_answers_depend_on_seed_model_and_record_alone() -> None:
    engine, records = (
        EchoEngine(),
        [Record(f"r{i}", "q", system="s", history=(Message("user", "h"),)) for i in range(4)],
    )
    make = builder(sampling=SamplingConfig(temperature=0.6, top_p=0.9, max_new_tokens=5))
    whole = make.answer(records, "m", TEMPLATE, engine)  # type: ignore[arg-type]
    parts = [a for r in reversed(records) for a in make.answer([r], "m", TEMPLATE, engine)]  # type: ignore[arg-type]
    assert parts[::-1] == whole
    request = engine.requests[0]
    assert (request.prompt_ids, request.stop_ids, request.temperature, request.top_p) == ((3, 1), (9,), 0.6, 0.9)
    assert whole[0].text == whole[0].text.strip() and not whole[0].truncated
    assert len({request_seed(s, m, r) for s in (0, 1) for m in "ab" for r in ("r1", "r2")}) == 8
    assert all(0 <= request_seed(0, "m", str(i)) < 2**63 for i in range(50))


def test_a_cut_off_answer_is_marked() -> None:
    made = builder(sampling=SamplingConfig(max_new_tokens=2)).answer([RECORD], "m", TEMPLATE, EchoEngine())  # type: ignore[arg-type]
    assert made[0].truncated


def test_an_answer_that_the_engine_failed_on_says_why() -> None:
    refusing = SimpleNamespace(generate=lambda requests, done: [Completion((), "error", "status 400")])
    (answer,) = builder().answer([RECORD], "m", TEMPLATE, refusing)  # type: ignore[arg-type]
    assert answer.error == "status 400" and not answer.truncated
    (written,) = builder().answer([RECORD], "m", TEMPLATE, EchoEngine())  # type: ignore[arg-type]
    assert written.error == ""


def test_scores_go_to_their_answers() -> None:
    items = [(Record("b", "qb"), [Answer("b", "m", "xx"), Answer("b", "m", "inf")]), (Record("a", "qa"), [])]
    scores = {"xx": 4.0, "inf": math.inf}
    fake = SimpleNamespace(score=lambda items, done: [scores[text] for _, text in items])
    first, empty = RewardModel.score_answers(fake, items)  # type: ignore[arg-type]
    assert [(a.record_id, a.text, a.score) for a in first.answers] == [("b", "xx", 4.0), ("b", "inf", None)]
    assert (first.record.id, empty.record.id, empty.answers, first.judgments) == ("b", "a", [], None)


def made_up() -> list[Answered]:
    rng = random.Random(0)
    records = [Record(f"r{i}", f"Question {i} <script>", "a") for i in range(40)]

    def text(record: Record) -> str:
        return " ".join(f"w{rng.randint(0, 999)}" for _ in range(rng.randint(1, 30))) + f" {record.id}"

    every = [
        Answer(r.id, m, text(r), rng.random() < 0.1, round(rng.gauss(bonus, 1), 3))
        for r in records
        for m, bonus in (("big", 1.0), ("mid", 0.5), ("small", 0.0))
    ]
    return [(r, [a for a in every if a.record_id == r.id]) for r in records]


def report_on(answered: Iterable[Answered]) -> tuple[PreferenceReport, list[PreferencePair]]:
    make = builder()
    pairs, _ = built(make, answered)
    return PreferenceReport.from_statistics(make.statistics), pairs


def test_the_report_counts_what_is_there() -> None:
    made, pairs = report_on(made_up())
    assert made == report_on([(record, found[::-1]) for record, found in made_up()])[0]
    report = made.to_json()
    assert json.loads(json.dumps(report)) == report
    assert sum(m["chosen"] for m in report["models"].values()) == len(pairs) == report["pairs"]
    assert sum(report["skip_reasons"].values()) == report["skipped"]
    assert all(row["wins"] + row["losses"] + row["ties"] == 40 for row in report["wins"])
    unequal = [(len(p.chosen.split()), len(p.rejected.split())) for p in pairs]
    unequal = [(a, b) for a, b in unequal if a != b]
    assert report["length"]["longer_chosen_share"] == pytest.approx(
        sum(a > b for a, b in unequal) / len(unequal), abs=1e-6
    )
    assert report["margin"]["quantiles"]["0"] > 0
    page = made.to_markdown()
    assert "Wins between models" in page and "```text\nQuestion" in page and page == made.to_markdown()


def test_an_empty_report_renders() -> None:
    assert "0 pairs" in report_on([])[0].to_markdown()


def test_cohens_d() -> None:
    assert cohens_d([2, 4, 6], [1, 3, 5]) == pytest.approx(0.5)
    assert cohens_d([1, 1], [1, 1]) is None and cohens_d([1], [2, 3]) is None


def test_the_example_in_the_docstring_builds_pairs() -> None:
    from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.preference import open_reward_model, preference_builder

    assert preference_builder.__doc__
    example = "\n".join(line[4:] for line in preference_builder.__doc__.splitlines() if line.startswith("    "))
    names: dict[str, Any] = {
        "records": [Record(f"r{i}", f"What is {i} plus {i}?") for i in range(4)],
        "detect": lambda: detect("cpu"),
        **{one.__name__: one for one in (PreferConfig, EngineConfig, ModelConfig, open_engine, open_reward_model)},
        **{one.__name__: one for one in (PreferenceBuilder, PreferencePair, PreferenceReport)},
    }
    exec(example, names)
    assert len(names["answers"]) == 8 and names["builder"].records == len(names["made"]) == 4
    assert all(answer.score is not None for one in names["scored"] for answer in one.answers)
    assert f"{len(names['pairs'])} pairs" in names["report"]
