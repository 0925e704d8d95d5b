"""The refusal rule by place and form: its measured precision and recall, and what it must never do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.refusal import patterns
from synthetic_instruction_tuner.filtering.refusal.form import RefusalForm, context_of
from synthetic_instruction_tuner.filtering.refusal.keywords import RefusalKeywords
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.filter import STAGE

PHRASES = FilterConfig().refusal_phrases
CASES = [json.loads(line) for line in (Path(__file__).parent / "refusal_cases.jsonl").read_text().splitlines()]
FORM = RefusalForm(PHRASES)


def refuses(response: str, instruction: str = "Tell me something.", rule: Any = FORM) -> bool:
    return not rule.check(Record("r", instruction, response)).passed


def measured(rule: Any) -> tuple[float, float]:
    found = [(refuses(case["response"], case["instruction"], rule), case["refusal"]) for case in CASES]
    hits = sum(said and true for said, true in found)
    return hits / sum(said for said, _ in found), hits / sum(true for _, true in found)


def test_precision_and_recall_on_labelled_cases() -> None:
    labels = [case["refusal"] for case in CASES]
    assert len(CASES) >= 400 and min(sum(labels), len(labels) - sum(labels)) >= 200
    assert len({(case["instruction"], case["response"]) for case in CASES}) == len(CASES)
    precision, recall = measured(FORM)
    assert precision >= 0.98 and recall >= 0.96, (precision, recall)


def test_it_is_far_better_than_words_anywhere() -> None:
    precision, recall = measured(RefusalKeywords(PHRASES))
    assert precision < 0.6 and recall < 0.6  # on cases made to be hard


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("apostrophe", ["'", "’", "ʼ", "`"])
@pytest.mark.parametrize(
    "before",
    ["", "  ", "I'm sorry, but ", "Unfortunately, ", "Sorry. ", "I apologize, but ", "Well, ", "**", "Thank you. "],
)
def test_every_phrase_of_the_plan_at_the_start(phrase: str, apostrophe: str, before: str) -> None:
    text = (before + phrase + " one of the things that people ask for.").replace("'", apostrophe)
    verdict = FORM.check(Record("r", "Tell me something.", text))
    assert not verdict.passed
    assert text[int(str(verdict.value).rpartition("@ ")[2]) :]  # the place lies in the text


def test_a_story_whose_hero_says_it_stays_and_the_plain_rule_drops_it() -> None:
    story = (
        'The knight looked at the bridge. "I cannot cross," he said. "I don\'t have a boat." ' + "He sat down. " * 30
    )
    assert not refuses(story, "Write a story about a knight.")
    assert refuses(story, "Write a story about a knight.", RefusalKeywords(PHRASES))


def test_the_setting_chooses_the_rule() -> None:
    story = Record(
        "r", "Write a story.", '"I cannot," said the knight to ' + " ".join(f"friend{i}" for i in range(30)) + "."
    )
    for rule, kept in (("form", True), ("keywords", False)):
        (result,) = QualityFilter(FilterConfig(refusal_rule=rule, language="")).check([story])
        assert result.passed is kept
    assert FilterConfig().refusal_rule == "form"
    assert STAGE.version >= 2


def test_no_phrases_switch_it_off() -> None:
    assert not refuses("As an AI I cannot help you.", rule=RefusalForm(()))
    with pytest.raises(UserError, match="phrase"):
        RefusalForm(("...",))


@pytest.mark.parametrize(
    ("instruction", "context"),
    [
        ("What is the sea?", "plain"),
        ("Write a poem about the sea.", "voice"),
        ("Write a poem about a robot.", "ai_voice"),
        ("Translate: Hola", "given_text"),
        ("Who are you?", "self"),
    ],
)
def test_contexts(instruction: str, context: str) -> None:
    assert context_of(instruction.lower()) == context


@given(st.text(max_size=300), st.text(st.characters(codec=None), max_size=600))
def test_no_text_does_harm(instruction: str, response: str) -> None:
    verdict = FORM.check(Record("r", instruction, response))
    assert verdict.passed is (verdict.value is None)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but " * 70_000,
        "i know " * 150_000,
        '"' * 10**6,
        "'a" * 500_000,
        "\n" * 10**6,
        "not ai. " * 125_000,
        "while i " * 120_000,
        "as " * 300_000,
        "```\n" * 250_000,
        "i am " * 200_000,
        "to a b c, " * 100_000,
    ],
)
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.process_time()
    FORM.check(Record("r", text, text))
    assert time.process_time() - start < 3


@pytest.mark.parametrize("adverb", re.findall(r"[a-z][a-z ]+", patterns.ADVERBS))
def test_a_long_row_of_adverbs_takes_no_time(adverb: str) -> None:
    row = "I " + f"{adverb} " * 200
    start = time.process_time()
    for form in (*patterns.FORMS["plain"], patterns.CANNOT_VERB, patterns.WHOLE_REFUSAL):
        form.match(row.lower() + "love pizza")
    assert not refuses(row + "love pizza and not much else.")
    assert time.process_time() - start < 1
    assert re.match(f"i {patterns.ADVERBS}cannot", f"i {adverb}, {adverb} , {adverb} {adverb},cannot")


def test_on_real_answers() -> None:
    """Of 640 answers of four models to MT-Bench; the labels are ours."""
    refusals = {
        "vicuna-13b-v1.3": {"82.1", "91.1", "92.0", "92.1", "93.0", "100.0", "100.1", "141.1", "156.1"},
        "gpt-4": {"92.1", "93.0", "100.0"},
        "rwkv-4-raven-14b": {"91.0", "91.1", "92.0", "92.1", "93.0", "95.1", "98.1", "100.0", "100.1"},
        "stablelm-tuned-alpha-7b": {"91.1", "95.0", "98.1", "100.0", "101.0", "141.1", "147.1", "156.1"},
    }
    folder = shared("mt_bench")
    questions = {q["question_id"]: q["turns"] for q in _lines(folder / "question.jsonl")}
    said, true = set(), set()
    for model, own in refusals.items():
        true |= {f"{model} {key}" for key in own}
        for row in _lines(folder / "model_answer" / f"{model}.jsonl"):
            for turn, answer in enumerate(row["choices"][0]["turns"]):
                if refuses(answer, questions[row["question_id"]][turn]):
                    said.add(f"{model} {row['question_id']}.{turn}")
    print(sorted(said - true), sorted(true - said))
    assert len(said & true) / len(said) >= 0.9 and len(said & true) / len(true) >= 0.85


def test_real_code_and_math_stay() -> None:
    code = json.loads((shared("gpteacher") / "codegen-instruct.json").read_text())
    pairs = [(r["instruction"], r["response"]) for r in code]
    pairs += [(r["question"], r["answer"]) for r in _lines(shared("gsm8k") / "train.jsonl")]
    assert sum(refuses(answer, question) for question, answer in pairs) <= 0.001 * len(pairs)


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines() if re.search(r"\S", line)]
