"""The rules that look at one record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.language import Language
from synthetic_instruction_tuner.filtering.length import NotEmpty, ResponseLength
from synthetic_instruction_tuner.filtering.refusal import Refusal
from synthetic_instruction_tuner.filtering.repetition import LineRepetition, WordRepetition, longest_run
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.settings import FilterConfig

PHRASES = FilterConfig().refusals


def answer(text: str) -> Record:
    return Record("r", "Tell me something.", text)


@pytest.mark.parametrize(("words", "passed"), [(0, False), (19, False), (20, True), (500, True), (501, False)])
def test_length_limits_are_included(words: int, passed: bool) -> None:
    verdict = ResponseLength(20, 500).judge(answer("word " * words))
    assert (verdict.passed, verdict.measured, verdict.limit) == (passed, words, "20..500")
    assert bool(verdict.reason) != passed


@pytest.mark.parametrize(
    ("instruction", "response", "measured"),
    [("a", "b", None), (" \n", "b", "instruction"), ("a", "", "response"), ("", "\t", "instruction and response")],
)
def test_empty_is_measured(instruction: str, response: str, measured: str | None) -> None:
    verdict = NotEmpty().judge(Record("r", instruction, response))
    assert (verdict.passed, verdict.measured) == (measured is None, measured)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("very very very good", 3),
        ("Very, very very. VERY! good", 4),
        ("no “no” (no) **no**", 4),
        ("no no yes no no", 2),
        ("| yes | yes | yes | yes |", 1),
        ("- - - - -", 0),
        ("-1 1 -1 1", 1),
        ("straße STRASSE Strasse x", 3),
        ("", 0),
        ("a a b b b a a a a", 4),
        ("word\nword\nword\nword", 4),
    ],
)
def test_word_runs(text: str, run: int) -> None:
    verdict = WordRepetition(3).judge(answer(text))
    assert (verdict.measured, verdict.passed) == (run, run <= 3)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("same\n" * 3 + "other", 3),
        ("same\n\n" * 4, 4),
        ("same  \nsame\nsame\t\nsame", 4),
        ("      }\n    }\n  }\n}", 0),
        ("---\n" * 9, 0),
        ("  x = 1\n    x = 1\n  x = 1\n    x = 1", 1),
    ],
)
def test_line_runs(text: str, run: int) -> None:
    verdict = LineRepetition(3).judge(answer(text))
    assert (verdict.measured, verdict.passed) == (run, run <= 3)


@given(st.lists(st.sampled_from(["a", "b", "-"]), max_size=30))
def test_longest_run_is_that_of_the_definition(items: list[str]) -> None:
    best = 0
    for i in range(len(items)):
        for j in range(i, len(items)):
            if items[i] != "-" and len(set(items[i : j + 1])) == 1:
                best = max(best, j - i + 1)
    assert longest_run(items)[0] == best


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("As an AI, there is much I know.", "As an AI @ 0"),
        ("Sorry, I’m  not\nable to do it.", "I'm not able @ 7"),
        ("well, i CANNOT say", "I cannot @ 6"),
        ("I don`t have it and I cannot", "I don't have @ 0"),
        ("The API cannot do this, nor can WiFi cannot.", None),
        ("It was an aim as an aide.", None),
        ("He said I cannotx", None),
        ("İİİ I cannot", "I cannot @ 4"),
        ("Of course! Here it is.", None),
    ],
)
def test_refusals(text: str, measured: str | None) -> None:
    verdict = Refusal(PHRASES).judge(answer(text))
    assert (verdict.measured, verdict.passed) == (measured, measured is None)


@given(st.sampled_from(PHRASES), st.text(" .,!\n'", max_size=20), st.text(" .,!\n", max_size=20))
def test_a_phrase_is_found_wherever_it_stands(phrase: str, before: str, after: str) -> None:
    assert not Refusal(PHRASES).judge(answer(before + phrase + after)).passed


def test_no_phrases_means_no_refusals() -> None:
    assert Refusal(()).judge(answer("As an AI I cannot")).passed


@pytest.mark.parametrize("phrase", ["", "  ", "..."])
def test_a_phrase_without_words_is_the_users_mistake(phrase: str) -> None:
    with pytest.raises(UserError, match="phrase"):
        Refusal(("I cannot", phrase))


@pytest.fixture(scope="module")
def english() -> Language:
    return Language("en", 0.7)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Die Hauptstadt von Frankreich ist Paris, und sie liegt an der Seine im Norden des Landes.", False),
        ("La capitale de la France est Paris, une très belle ville\nau bord de la Seine.", False),
        ("法国的首都是巴黎,它位于塞纳河畔。", False),
        ("The capital of France is Paris, which lies on the river Seine.", True),
        ("def add(a, b):\n    return a + b\n\nprint(add(1, 2))", True),
        ("for (int i = 0; i < n; i++) { total += values[i]; }", True),
        ("x^2 + y^2 = z^2", True),
        ("42", True),
        ("", True),
        ("😀😀", True),
        ("\ud800\0", True),
    ],
)
def test_only_what_is_surely_another_language_goes(english: Language, text: str, passed: bool) -> None:
    verdict = english.judge(Record("r", text, text))
    assert verdict.passed == passed, verdict


def test_confidence_is_the_limit() -> None:
    text = Record("r", "Hola amigo", "")
    _, score = Language("en", 0.5).detect("Hola amigo")
    assert not Language("en", score).judge(text).passed
    assert Language("en", min(1.0, score + 1e-9)).judge(text).passed


def test_another_language_can_be_wanted() -> None:
    german = Language("DE", 0.7)
    assert german.judge(answer("")).passed is False
    assert german.judge(Record("r", "Wie heißt die Hauptstadt von Frankreich?", "Sie heißt Paris.")).passed


@pytest.mark.parametrize("code", ["eng", "english", "xx"])
def test_an_unknown_language_is_the_users_mistake(code: str) -> None:
    with pytest.raises(UserError, match=code):
        Language(code, 0.7)


def test_the_detector_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert Language("en", 0.7).judge(answer("This is a plain English sentence.")).passed
