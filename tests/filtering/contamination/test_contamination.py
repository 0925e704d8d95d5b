"""Benchmark items in records: what is found, and what is not."""

from __future__ import annotations

import json
import random
import runpy
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from synthetic_instruction_tuner.config import ContaminationConfig, FilterConfig, load_config
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.contamination.matching import common_subsequence
from synthetic_instruction_tuner.filtering.contamination.one_edit import OneEdit, Pieces
from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.records import Message, Record
from synthetic_instruction_tuner.words import words_of

BENCHMARK = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "contamination.py"))
LONG = (
    "Which treaty ended the long war between the two northern kingdoms, and in which small harbor town was it signed?"
)
ITEMS = (
    BenchmarkItem("b/1", LONG, ("Lund", "Brem", "Aarn", "Visk")),
    BenchmarkItem("b/2", "What is a parapraxis?"),
    BenchmarkItem(
        "b/3", "Which of the following is true?", ("Iron is lighter", "Lead floats", "Gold rusts", "Tin melts")
    ),
    BenchmarkItem("b/4", "The coronary arteries", ("feed the heart", "feed the brain")),
)
RULE = Contamination([BenchmarkSet("b", ITEMS)])


def found(instruction: str, response: str = "", rule: Contamination = RULE, **more: Any) -> list[tuple[str, str]]:
    return [(hit[0], hit[1]) for hit in rule.signal(Record("r", instruction, response, **more))]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        (LONG, [("b/1", "exact")]),
        (LONG.upper().replace(",", " ;"), [("b/1", "exact")]),
        (f"Hello! {LONG} Thanks.", [("b/1", "contained")]),
        (LONG.replace("long", "bitter"), [("b/1", "13 words")]),
        (LONG.replace("two northern", "old").replace("small ", ""), [("b/1", "edited")]),
        ("In which small harbor town was it signed?", []),
        ("What is a parapraxis?", [("b/2", "exact")]),
        ("Please explain. What is a parapraxis? In one line.", [("b/2", "contained")]),
        ("I wonder what is a parapraxis for you", []),
        ("What is a catalyst?", []),
        ("Which of the following is true of gold?", []),
        (
            "Which of the following is true?\nA. Iron is lighter\nB. Lead floats\nC. Gold rusts\nD. Tin melts",
            [("b/3", "contained")],
        ),
        ("Which of the following is true?\nA. Ants fly\nB. Bees swim", []),
        ("They say the coronary arteries are narrow", []),
        ("", []),
    ],
)
def test_what_is_found(text: str, hits: list[tuple[str, str]]) -> None:
    assert found(text) == hits


def test_every_text_of_a_record_is_looked_at() -> None:
    assert found("Hi", LONG) == [("b/1", "exact")]
    assert found("Hi", history=(Message("user", LONG), Message("assistant", "No idea."))) == [("b/1", "exact")]


def test_the_verdict_names_the_item() -> None:
    verdict = RULE.check(Record("r", f"{LONG} What is a parapraxis?", ""))
    assert (
        not verdict.passed and verdict.matched == "b/1" and "b/1" in verdict.reason and "and 1 more" in verdict.reason
    )
    assert [hit[0] for hit in verdict.details or ()] == ["b/1", "b/2"]
    assert RULE.check(Record("r", "Describe the sea.", "It is large.")).details is None


def test_exact_looks_at_whole_instructions_only() -> None:
    rule = Contamination([BenchmarkSet("b", ITEMS)], "exact")
    assert found(LONG.lower(), rule=rule) == [("b/1", "exact")]
    assert found("Hello! " + LONG, LONG, rule=rule) == []


def test_phrases_of_the_benchmark_itself_lead_nowhere() -> None:
    lead = "Read the short text below with care and then decide which of the answers is right"
    items = tuple(BenchmarkItem(f"b/{i}", f"{lead}: number{i} of{i} all{i}") for i in range(40))
    rule = Contamination([BenchmarkSet("b", items)])
    assert found(f"{lead}: something else entirely", rule=rule) == []
    for i in (0, 17, 39):  # and yet each is found
        assert found(f"Hello. {items[i].text} Thanks", rule=rule)[0] == (f"b/{i}", "contained")


@given(st.text("ab", max_size=12), st.text("ab", max_size=12))
def test_common_subsequence(a: str, b: str) -> None:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(a, b) == table[-1][-1]


@given(st.text(st.characters(codec=None), max_size=300))
def test_no_text_does_harm(text: str) -> None:
    RULE.check(Record("r", text, text))


@pytest.mark.parametrize(
    "text", ["a " * 500_000, LONG * 9_000, "which of the following is " * 40_000, "x" * 10**6, "\n" * 10**6]
)
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.process_time()
    RULE.signal(Record("r", text, text))
    assert time.process_time() - start < 3


def test_words_are_compared_without_form() -> None:
    assert words_of("ＦＵＬＬ-width, “Quotes” & CASE straße") == ("full", "width", "quotes", "case", "strasse")


ASKED = (
    BenchmarkItem("b/duct", "The parotid duct runs"),
    BenchmarkItem("b/mohel", "What is a mohel?"),
    BenchmarkItem("b/form", "Which of the following is false?"),
    BenchmarkItem("b/sum", "What is 12 plus 7?"),
    BenchmarkItem("b/view", "In Augustine’s view, lying is:"),
    BenchmarkItem("b/net", "Neural networks:"),
    *(BenchmarkItem(f"b/{i}", f"What does the {i}th of these words mean?") for i in range(400)),
)
SHORT = Contamination([BenchmarkSet("b", ASKED)])


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("The parotid duct perhaps runs", ["b/duct"]),
        ("The parotid garden runs", ["b/duct"]),
        ("The parotid duct", ["b/duct"]),
        ("In garden view, lying is", ["b/view"]),  # one piece, two words
        ("The parotid garden sings", []),  # two pieces
        ("is a mohel", ["b/mohel"]),
        ("What is often a mohel?", ["b/mohel"]),
        ("What is a garden?", []),  # another question
        ("Which of the garden is false?", ["b/form"]),
        ("What is 13 plus 7?", []),  # with another number it is another question
        ("What is 12 plus 8?", []),
        ("The parotid duct 7", []),
        ("Solar networks", []),  # of two words one is too little
        ("networks", []),
        ("They wrote: the parotid duct perhaps runs, and so on and on", []),  # instructions as a whole alone
    ],
)
def test_short_instructions_one_edit_away(text: str, hits: list[str]) -> None:
    assert found(text, rule=SHORT) == [(hit, "edited") for hit in hits]
    assert found("Hi there", text, rule=SHORT) == []
    assert found(text, rule=Contamination(SHORT.sets, "exact")) == []


def test_one_word_tells_an_item_only_where_few_of_many_items_have_it() -> None:
    assert found("is a mohel", rule=SHORT) == [("b/mohel", "edited")]
    few = Contamination([BenchmarkSet("b", ASKED[:6])])
    assert found("is a mohel", rule=few) == []  # in a small set, every word is rare
    assert found("The parotid garden runs", rule=few) == [("b/duct", "edited")]
    many = Contamination([BenchmarkSet("b", (*ASKED, BenchmarkItem("b/too", "Who is the mohel of that town?")))])
    assert found("is a mohel", rule=many) == []


def test_one_edit_is_looked_for_in_english_alone() -> None:
    """Everyday words are known in English: "ist ein" would count as content."""
    german = ("Was ist ein Mohel?", "Wo liegt die Hauptstadt von Peru?", "Wer schrieb den Roman über die Weber?")
    rule = Contamination([BenchmarkSet("de", tuple(BenchmarkItem(f"de/{i}", t) for i, t in enumerate(german)))])
    assert found("Was ist ein Garten?", rule=rule) == []
    assert found(german[0], rule=rule) == [("de/0", "exact")]
    english = BenchmarkSet("en", ASKED[:6])
    mixed = BenchmarkSet("de", (*rule.sets[0].items, ASKED[0]))  # an item of both
    for sets in ([mixed, english], [english, mixed]):
        assert found("The parotid garden runs", rule=Contamination(sets)) == [("b/duct", "edited")]


pieces = st.lists(st.sampled_from("abc").map(lambda word: (word,)), max_size=5).map(tuple)


@given(st.lists(pieces, max_size=8), pieces)
def test_texts_one_piece_away_are_found(texts: list[Pieces], text: Pieces) -> None:
    near = dict(OneEdit(texts).near(text))
    assert set(near) == {other for other in texts if distance(other, text) == 1}
    for other, left in near.items():
        assert len(left) >= len(other) - 1
        assert is_subsequence(left, other) and is_subsequence(left, text)


def test_a_form_of_many_texts_is_no_text() -> None:
    texts: list[Pieces] = [(("what",), ("is",), (word,)) for word in "abcdef"]
    other: Pieces = (("what",), ("is",), ("z",))
    assert len(dict(OneEdit(texts).near(other))) == 6 and not dict(OneEdit(texts, 5).near(other))
    assert len(dict(OneEdit(texts, 6).near(other))) == 6
    assert dict(OneEdit(texts, 5).near((("what",), ("was",), ("a",)))) == {texts[0]: (("what",), ("a",))}


def is_subsequence(a: Pieces, b: Pieces) -> bool:
    rest = iter(b)
    return all(piece in rest for piece in a)


def distance(a: Pieces, b: Pieces) -> int:
    """The number of pieces to replace, leave out or put in (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(row[j] + 1, row[j + 1] + 1, last + (x != y))
    return row[-1]


def test_items_in_unspaced_scripts() -> None:
    item = BenchmarkItem("b/zh", "两个北方王国之间的长期战争以哪个条约结束，条约在哪个港口小镇签署？")
    rule = Contamination([BenchmarkSet("b", (item,))])
    assert found(f"请回答：{item.text}谢谢", rule=rule) == [("b/zh", "contained")]
    assert found(item.text.replace("长期", "短期"), rule=rule)[0][0] == "b/zh"
    assert found("哪个港口是北方最大的？", rule=rule) == []


@pytest.fixture(scope="module")
def real() -> list[BenchmarkSet]:
    names = ("ifeval", "mmlu", "mt_bench", "agentbench")
    folder = str(shared("ifeval").parent)
    return load_benchmarks(ContaminationConfig(benchmarks=names, folder=folder))


def test_recall_on_injected_items(real: list[BenchmarkSet]) -> None:
    """Up to 250 items of ten words and more, and shorter ones; benchmarks/contamination.py prints the whole table."""
    rule, rng = Contamination(real), random.Random(3)
    for some in real:
        long = tuple(item for item in some.items if len(words_of(item.text)) >= 10)
        sample = BenchmarkSet(some.name, tuple(rng.sample(long, min(250, len(long)))))
        for form, (hits, count) in BENCHMARK["recall"](rule, sample).items():
            assert hits >= 0.99 * count - (some.name == "mmlu"), (some.name, form, hits, count)
    items = tuple(item for some in real for item in some.items)
    sample = BenchmarkSet("all", tuple(rng.sample(items, min(700, len(items)))))
    for form, (hits, count) in BENCHMARK["recall"](rule, sample).items():
        assert hits >= 0.985 * count, (form, hits, count)  # 99 % of all; the sample's error is 0.4 %
    short = [i for some in real for i in some.items if 2 <= len(words_of(i.text)) < 10 and "..." not in i.text]
    sample = BenchmarkSet("short", tuple(rng.sample(short, 150)))
    rates = {form: hits / count for form, (hits, count) in BENCHMARK["recall"](rule, sample).items()}
    assert rates["verbatim"] == 1 and rates["with options"] == 1 and min(rates["prefixed"], rates["suffixed"]) >= 0.9, (
        rates
    )
    assert min(rates["edited 5%"], rates["edited 10%"]) >= 0.92, rates


def test_clean_data_stays(real: list[BenchmarkSet]) -> None:
    rule, rng = Contamination(real), random.Random(4)
    for name, rows in BENCHMARK["clean_sets"](shared("gsm8k").parent).items():
        sample = rng.sample(rows, 700) if len(rows) > 700 else rows
        assert sum(bool(rule.signal(record)) for record in sample) <= 0.005 * len(sample), name


def test_short_questions_of_other_people_stay(real: list[BenchmarkSet]) -> None:
    """Most of these are short, so that many are a few words away from a short item. One is an item: the sky's blue."""
    rule = Contamination(real)
    lines = (shared("instructionwild") / "seed_prompts_en.jsonl").read_text().splitlines()
    lines += (shared("self-instruct") / "seed_tasks.jsonl").read_text().splitlines()
    asked = [json.loads(line)["instruction"] for line in lines]
    assert sum(len(words_of(text)) < 12 for text in asked) > 250
    assert {text for text in asked if found(text, rule=rule)} <= {"Why's the sky blue?"}


def test_the_filter_reports_every_hit() -> None:
    from synthetic_instruction_tuner.filtering import FilterReport

    sets = [BenchmarkSet("b", ITEMS, "file"), BenchmarkSet("c", problem="it is not here")]
    config = FilterConfig(contamination=ContaminationConfig(benchmarks=("mmlu",)), language="", min_words=0)
    quality = QualityFilter(config, sets)
    records = [
        Record("one", LONG, "x y"),
        Record("two", f"So: {LONG} What is a parapraxis?", "x"),
        Record("three", "Hm?", "x"),
    ]
    judged = list(quality.check(records))
    assert [j.passed for j in judged] == [False, False, True]
    report = FilterReport.build(records, judged, config, quality=quality)
    assert [(h.record, h.item) for h in report.hits] == [("one", "b/1"), ("two", "b/1"), ("two", "b/2")]
    first, second = report.benchmarks
    assert (first.items, first.records, first.found, second.items) == (4, 2, 2, 0)
    assert "Contamination with c was not checked: it is not here." in report.summary()
    assert report.unchecked() == "contamination not checked with c"
    assert "b/2" in report.to_markdown() and json.loads(report.to_json())["hits"][0]["item"] == "b/1"


BEFORE = ["A sentence before it. ", "Hi! ", "Please, answer this: "]


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exam") / "exam.jsonl"
    file.write_text("".join(json.dumps({"question": item.text}) + "\n" for item in ITEMS[:2]))
    return file


@pytest.mark.parametrize("profile", ["nano", "t4"])
@pytest.mark.parametrize("before", ["", *BEFORE])
@pytest.mark.parametrize("after", ["", " Thank you very much for the answer."])
def test_a_named_file_is_found_within_texts_whatever_the_profile_says(
    exam: Path, profile: str, before: str, after: str
) -> None:
    wanted = load_config(profile, overrides=[f"filter.contamination.files=[{exam}]"]).filter.contamination
    rule = Contamination(load_benchmarks(wanted), wanted.match)
    for number, item in enumerate(ITEMS[:2], 1):
        assert [hit[0] for hit in rule.signal(Record("r", before + item.text + after, ""))] == [f"exam.jsonl/{number}"]


def test_the_user_has_the_last_word_on_a_file(exam: Path) -> None:
    exact = [f"filter.contamination.files=[{exam}]", "filter.contamination.match=exact"]
    wanted = load_config("nano", overrides=exact).filter.contamination
    rule = Contamination(load_benchmarks(wanted), wanted.match)
    assert found(LONG, rule=rule) == [("exam.jsonl/1", "exact")] and found("Hi! " + LONG, rule=rule) == []


def test_each_set_says_how_its_items_are_compared() -> None:
    sets = [BenchmarkSet("own", ITEMS[:1], match="exact"), BenchmarkSet("file", ITEMS[1:2])]
    rule = Contamination(sets)
    text = f"Hello. {LONG} What is a parapraxis?"
    assert found(text, rule=rule) == [("b/2", "contained")] and found(LONG, rule=rule) == [("b/1", "exact")]
    assert [(own["name"], own["match"]) for own in rule.basis()["benchmarks"]] == [
        ("own", "exact"),
        ("file", "overlap"),
    ]
    assert found(text, rule=Contamination(sets, "overlap")) == [("b/1", "contained"), ("b/2", "contained")]
    assert Contamination(sets[:1]).basis() == Contamination(sets[:1], "exact").basis()  # the hash of old data


def test_settings_say_how_all_are_compared() -> None:
    def common(**values: Any) -> str:
        return ContaminationConfig(**values).common_match

    assert load_config("nano").filter.contamination.common_match == "exact"
    assert common() == common(files=("a",)) == common(benchmarks=("mmlu",)) == "overlap"
    assert common(benchmarks=("nano",), files=("a",)) == common(benchmarks=("nano", "mmlu")) == "auto"
    assert common(benchmarks=("nano",), files=("a",), match="exact") == "exact"
