"""MT-Bench: published files and prompts, ratings, comparisons, replies that nobody understands, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mt_bench_files import PROMPTS, answers, make_folder, rows_of_questions, with_reference, write

from shared_data import shared
from synthetic_instruction_tuner.chat.verdicts import read_rating, read_winner
from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.answering import TEMPERATURES, answer_questions
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import (
    CATEGORIES,
    COUNT,
    WITH_REFERENCE,
    MtBench,
    read_answers,
    read_mt_bench,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import score_answers, with_ratings
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Judge, RepliesInMemory
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.pairwise import (
    Comparison,
    PairSummary,
    compare_answers,
    summarize,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.prompts import pair_prompt, prompt_name, single_prompt
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.replies_file import RepliesFile
from synthetic_instruction_tuner.evaluation.breakdowns import by_label

# A byte-level tokenizer and template in miniature: ids are code points of the messages as JSON.
TEMPLATE: Any = SimpleNamespace(
    prompt_ids=lambda messages: [ord(c) for c in json.dumps([m.as_dict() for m in messages])],
    stop_ids=(0,),
    decode=lambda ids, prompt=None: "".join(map(chr, ids)),
)
Script = Callable[[list[dict[str, str]]], str]


class Engine:
    """An engine whose completions a function of the messages writes."""

    def __init__(self, script: Script) -> None:
        self.script, self.requests = script, list[Request]()

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        self.requests += requests
        texts = [self.script(json.loads("".join(map(chr, r.prompt_ids)))) for r in requests]
        return [
            Completion((), "error", text[6:])
            if text.startswith("ERROR ")
            else Completion(tuple(map(ord, text)), "stop")
            for text in texts
        ]


def judge(script: Script, **options: Any) -> tuple[Judge, Engine]:
    engine: Any = Engine(script)
    return Judge("scripted", "scripted", engine, TEMPLATE, **options), engine


@pytest.fixture
def bench(tmp_path: Path) -> MtBench:
    return read_mt_bench(make_folder(tmp_path))


def test_published_files_are_read_whole() -> None:
    folder = shared("mt_bench")
    corrected, original = read_mt_bench(folder), read_mt_bench(folder, "original")
    assert len(corrected.questions) == COUNT
    assert {q.category for q in corrected.questions} == set(CATEGORIES)
    assert all(bool(q.references) == (q.category in WITH_REFERENCE) for q in corrected.questions)
    assert all(101 <= q.number <= 130 for q in corrected.questions if q.references)
    changed = [a.references != b.references for a, b in zip(corrected.questions, original.questions, strict=True)]
    assert sum(changed) == 30
    assert corrected.digest != original.digest
    assert {category for category in TEMPERATURES} == set(CATEGORIES)


def test_published_prompts_hold_every_text_of_the_conversation() -> None:
    found = read_mt_bench(shared("mt_bench"))
    for question in found.questions:
        for turn in range(2):
            system, user = single_prompt(found, question, ("one {question}", "two {0}"), turn)
            assert system.role == "system"
            assert system.content
            shown = [question.turns[turn], ("one {question}", "two {0}")[turn]]
            shown += [question.references[turn]] if question.references else []
            shown += [question.turns[0], "one {question}"] if turn else []
            assert all(text in user.content for text in shown)
            _, user = pair_prompt(found, question, ("a1", "a2"), ("b1", "b2"), turn)
            assert user.content.index(f"a{turn + 1}") < user.content.index(f"b{turn + 1}")
    math = next(q for q in found.questions if q.category == "math")
    assert [prompt_name(kind, math, turn) for kind in ("single", "pair") for turn in range(2)] == [
        "single-math-v1",
        "single-math-v1-multi-turn",
        "pair-math-v1",
        "pair-math-v1-multi-turn",
    ]


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("question.jsonl", lambda rows: rows + rows[:1], "Question 81 is there twice"),
        ("question.jsonl", lambda rows: [r | {"turns": r["turns"][:1]} for r in rows], "two turns"),
        ("question.jsonl", lambda rows: [r | {"category": "cooking"} for r in rows], "known category"),
        ("question.jsonl", lambda rows: [r | {"question_id": str(r["question_id"])} for r in rows], "question_id"),
        ("judge_prompts.jsonl", lambda rows: rows[1:], "lacks single-v1"),
        ("judge_prompts.jsonl", lambda rows: rows + rows[:1], "there twice"),
        (
            "judge_prompts.jsonl",
            lambda rows: [r | {"prompt_template": "{answer}"} for r in rows],
            "has the fields answer",
        ),
        ("judge_prompts.jsonl", lambda rows: [r | {"prompt_template": "{"} for r in rows], "has the fields none"),
        ("judge_prompts.jsonl", lambda rows: [r | {"system_prompt": None} for r in rows], "no system_prompt"),
        ("reference_answer/gpt-4-0125-preview.PR3158.jsonl", lambda rows: rows[1:], "no answer to question"),
        ("reference_answer/gpt-4-0125-preview.PR3158.jsonl", lambda rows: rows + rows[:1], "answered twice"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str, damage: Any, said: str) -> None:
    folder = make_folder(tmp_path)
    file = folder / name
    write(file, damage([json.loads(line) for line in file.read_text().splitlines()]))
    with pytest.raises(UserError, match=said) as caught:
        read_mt_bench(folder)
    assert file.name in caught.value.problem


@pytest.mark.parametrize("name", ["question.jsonl", "judge_prompts.jsonl"])
def test_a_file_that_is_cut_off_or_missing_is_refused(tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path)
    whole = (folder / name).read_text()
    (folder / name).write_text(whole[:-20])
    with pytest.raises(UserError, match=r"cut off|lacks"):
        read_mt_bench(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match="not on this machine"):
        read_mt_bench(folder)


def test_fewer_questions_are_spread_over_the_categories_and_part_of_more(bench: MtBench) -> None:
    numbers = [{q.number for q in bench.first(count).questions} for count in range(1, 17)]
    assert all(a < b for a, b in pairwise(numbers))
    assert {q.category for q in bench.first(8).questions} == set(CATEGORIES)
    assert [q.number for q in bench.first(99).questions] == [q.number for q in bench.questions]


def rows(word: str) -> dict[int, tuple[str, ...]]:
    return {row["question_id"]: tuple(row["choices"][0]["turns"]) for row in answers(word)}


def test_every_answer_is_rated_and_the_score_is_their_mean(bench: MtBench) -> None:
    one, engine = judge(lambda messages: f"Fine. Rating: [[{3 if 'Q1' in messages[-1]['content'] else 8}]]")
    result, ratings = score_answers(bench, rows("a"), one)
    assert (result.benchmark, result.headline) == ("mt_bench (judge: scripted)", "rating")
    assert result.estimate().value == 5.5
    assert (result.estimate("turn_1").value, result.estimate("turn_2").value) == (8, 3)
    assert result.estimate("unreadable").value == 0
    assert len(engine.requests) == len(ratings) == 2 * len(bench.questions)
    assert {r.temperature for r in engine.requests} == {0.0}
    assert {estimate.n for estimate in dict(by_label(result, "rating")).values()} == {4}
    shown = {r["question_id"] for r in rows_of_questions() if "right" in _prompt_of(engine, r["question_id"])}
    assert shown == with_reference()


def _prompt_of(engine: Engine, number: int) -> str:
    texts = ["".join(map(chr, r.prompt_ids)) for r in engine.requests]
    return next(text for text in texts if f" {number}.0" in text and "Q1" not in text)


def test_an_unreadable_reply_is_asked_for_again_once_then_counts_as_the_lowest_rating(bench: MtBench) -> None:
    never, once = " 85.0\n", " 90.0\n"

    def script(messages: list[dict[str, str]]) -> str:
        text = messages[-1]["content"] + "\n"
        again = "double square brackets" in text
        if "Q1" not in text and (never in text or (once in text and not again)):
            return "It is a good answer, I think 7 out of 10."
        return "[[9]]"

    one, engine = judge(script)
    result, ratings = score_answers(bench, rows("a"), one)
    assert result.estimate().n == 32  # nothing is left out
    assert result.estimate("unreadable").value == 1 / 32
    assert with_ratings(result, result).n_unparsed == 1
    assert result.estimate().value == (31 * 9 + 1) / 32
    assert [(r.question, r.asked, r.value) for r in ratings if r.asked > 1] == [(85, 2, None), (90, 2, 9.0)]
    assert len(engine.requests) == 34
    again, engine = judge(script, kept=one._kept)
    assert score_answers(bench, rows("a"), again)[1] == ratings
    assert engine.requests == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("blah blah", "blah blah"),
        ("这个回答很好，我给七分。", "form that is asked for"),
        ("", "empty reply"),
        ("Rating: [[77]]", "form that is asked for"),
        ("ERROR the prompt has 9000 tokens", "9000 tokens"),
    ],
)
def test_a_judge_that_makes_no_sense_stops_early_and_is_quoted(bench: MtBench, reply: str, said: str) -> None:
    one, engine = judge(lambda _: reply)
    with pytest.raises(RunError, match=said):
        score_answers(bench, rows("a"), one)
    assert len(engine.requests) <= 32


def test_comparisons_use_both_orders_and_only_agreement_wins(bench: MtBench) -> None:
    def by_word(messages: list[dict[str, str]]) -> str:
        text = messages[-1]["content"]
        return "[[A]]" if text.index("good0") < text.index("bad0") else "[[B]]"

    one, engine = judge(by_word)
    found = compare_answers(bench, rows("good"), rows("bad"), one)
    assert len(engine.requests) == 4 * len(bench.questions)
    summary = summarize("s", "sft", "base", "scripted", found)
    assert (summary.wins, summary.ties, summary.losses, summary.win_rate) == (32, 0, 0, 1.0)
    assert (summary.consistent, summary.compared, summary.first_share) == (32, 32, 0.5)
    assert PairSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    first = summarize("s", "a", "b", "x", compare_answers(bench, rows("a"), rows("b"), judge(lambda _: "[[A]]")[0]))
    assert (first.ties, first.consistent, first.first_share, first.win_rate, first.p) == (32, 0, 1.0, 0.5, 1.0)


@given(
    st.lists(st.tuples(*[st.sampled_from(["first", "second", "tie", None])] * 2, *[st.integers(0, 9)] * 2), min_size=1)
)
def test_exchanging_the_two_sides_exchanges_wins_and_losses(drawn: list[tuple[Any, Any, int, int]]) -> None:
    ours = [Comparison(i // 2, i % 2, f, b, (x, y)) for i, (f, b, x, y) in enumerate(drawn)]
    # Their answer first is their forward order.
    theirs = [Comparison(c.question, c.turn, c.backward, c.forward, c.words[::-1]) for c in ours]
    a, b = summarize("m", "x", "y", "j", ours), summarize("m", "y", "x", "j", theirs)
    assert (a.wins, a.ties, a.losses) == (b.losses, b.ties, b.wins)
    assert a.win_rate == pytest.approx(1 - b.win_rate)
    assert (a.consistent, a.compared, a.first_share, a.longer_share, a.unreadable) == (
        b.consistent,
        b.compared,
        b.first_share,
        b.longer_share,
        b.unreadable,
    )
    assert a.wins + a.ties + a.losses == len(drawn)


def test_longer_answers_that_win_are_shown(bench: MtBench) -> None:
    long = {number: tuple(text + " more and more" for text in turns) for number, turns in rows("a").items()}

    def longer(messages: list[dict[str, str]]) -> str:
        text = messages[-1]["content"]
        if "---" in text:
            first, _, _ = text.partition("---")
        else:
            first, _, _ = text.partition("[The Start of Assistant B's Answer]")
        return "[[A]]" if "more and more" in first else "[[B]]"

    found = summarize("m", "x", "y", "j", compare_answers(bench, long, rows("b"), judge(longer)[0]))
    assert (found.longer_share, found.wins) == (1.0, 32)
    assert found.mean_words[0] == found.mean_words[1] + 3


def test_answers_are_sampled_by_category_and_the_second_turn_follows_the_first(bench: MtBench) -> None:
    engine: Any = Engine(lambda messages: f"answer {len(messages)}" if "math" not in messages[0]["content"] else "")
    items, cut, empty = answer_questions(engine.generate, TEMPLATE, bench.questions, 1024)
    assert (cut, empty) == (0, 4)
    assert next(item.outputs for item in items if "math" not in item.id) == ("answer 1", "answer 3")
    category = {q.number: q.category for q in bench.questions}
    for request, question in zip(engine.requests, [*bench.questions, *bench.questions], strict=True):
        assert request.temperature == TEMPERATURES[category[question.number]]
        assert request.max_new_tokens == 1024
    assert len({request.seed for request in engine.requests}) == 32


def test_replies_in_a_file_outlive_a_kill_at_any_byte(bench: MtBench, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    script: Script = lambda messages: f"So: [[{1 + len(messages[-1]['content']) % 9}]]"  # noqa: E731
    with RepliesFile(file) as kept:
        whole = score_answers(bench, rows("a"), judge(script, kept=kept)[0])[1]
    content = file.read_bytes()
    for end in range(0, len(content), 97):
        file.write_bytes(content[:end])
        with RepliesFile(file) as kept:
            there = len(kept)
            again, engine = judge(script, kept=kept)
            assert score_answers(bench, rows("a"), again)[1] == whole
        assert len(engine.requests) == 32 - there
        assert there in (content[:end].count(b"\n"), content[:end].count(b"\n") + 1)
        with RepliesFile(file) as kept:
            assert len(kept) == 32


def test_a_reply_belongs_to_one_judge_and_one_prompt(bench: MtBench) -> None:
    kept = RepliesInMemory()
    engine: Any = Engine(lambda _: "[[5]]")
    for identity in ("one", "two"):
        for limit in (100, 200):
            one = Judge("j", identity, engine, TEMPLATE, kept=kept, max_new_tokens=limit)
            score_answers(bench, rows("a"), one)
            score_answers(bench, rows("a"), one)
    assert len(kept.kept) == len(engine.requests) == 4 * 32


def test_published_answers_are_read() -> None:
    folder = shared("mt_bench") / "model_answer"
    assert {file.stem: len(read_answers(file)) for file in folder.glob("*.jsonl")} == {
        "gpt-4": 80,
        "vicuna-13b-v1.3": 80,
        "rwkv-4-raven-14b": 80,
        "stablelm-tuned-alpha-7b": 80,
    }


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Rating: [[5]]", 5),
        ("It demands [[10]]. No. Rating: [[2]]", 2),
        ("**Rating:** [[ 7.5 ]]", 7.5),
        ("[[**8**]]", 8),
        ("[[8/10]]", 8),
        (r"\[\[6\]\]", 6),
        ("［［９］］", 9),
        ("[[rating: 4]]", 4),
        ("Rating: [3]", 3),
        ("see [1] and [2]", None),
        ("Rating: [3](http://x)", None),
        ("[[0]]", None),
        ("[[11]]", None),
        ("[[-5]]", None),
        ("[[nan]]", None),
        ("[[ten]]", None),
        ("Rating: 7", None),
        ("<think>[[9]]</think>", None),
        ("<think>[[9]]</think>[[3]]", 3),
        ("<think> maybe [[9]]", None),
        ("", None),
    ],
)
def test_ratings_are_read_and_never_guessed(text: str, rating: float | None) -> None:
    assert read_rating(text) == rating


@given(st.text(), st.integers(1, 10))
def test_the_last_rating_counts_whatever_comes_before(before: str, rating: int) -> None:
    assert read_rating(f"{before.replace('<think>', '')} [[{rating}]]") == rating


@given(st.text(), st.sampled_from("ABC"))
def test_the_last_winner_counts_whatever_comes_before(before: str, letter: str) -> None:
    assert (
        read_winner(f"{before.replace('<think>', '')} [[{letter}]]")
        == {"A": "first", "B": "second", "C": "tie"}[letter]
    )


def test_the_made_up_prompts_are_of_the_published_form() -> None:
    assert set(read_mt_bench(shared("mt_bench")).prompts) == set(PROMPTS)
