"""Words in any script: marks belong to their letters, and plain English is what it always was."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.filtering.near_duplicates.rule import NearDuplicates
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import WORD_OR_END, Vocabulary
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import count_words, normal_form, words_of

DAY, GIFT = "दिन का महत्व क्या है?", "दान का महत्व क्या है?"  # "What is the meaning of the day?", "... of the gift?"
HUSBAND, FATHER = "पति के बारे में एक कहानी लिखो", "पिता के बारे में एक कहानी लिखो"
FRENCH = "Écris un résumé du café à Zürich où l'été était très agréable"


def similar(first: str, second: str, threshold: float = 0.8) -> bool:
    records = [Record("a", first, "x"), Record("b", second, "x")]
    return not NearDuplicates(threshold).check(records, [True, True])[1].passed


@pytest.mark.parametrize(
    "text",
    [DAY, HUSBAND, "பாடல் பற்றி எழுதுங்கள்", "ᜋᜄᜈ᜔ᜇᜅ᜔ ᜂᜋᜄ", unicodedata.normalize("NFD", FRENCH)],
)
def test_words_are_not_cut_at_their_marks(text: str) -> None:
    spaced = text.replace("?", "").replace("'", " ").split()
    assert WORD_OR_END.findall(text) == spaced
    assert words_of(text) == tuple(unicodedata.normalize("NFKC", word).casefold() for word in spaced)


def test_questions_that_differ_in_a_vowel_are_no_duplicates() -> None:
    assert not similar(DAY, GIFT) and not similar(HUSBAND, FATHER, 0.9)
    assert similar(DAY, DAY.replace("?", " !"))


def test_composed_and_decomposed_text_is_the_same() -> None:
    composed, decomposed = (unicodedata.normalize(form, FRENCH) for form in ("NFC", "NFD"))
    assert composed != decomposed and similar(composed, decomposed, 1.0) and similar(decomposed, composed, 1.0)
    assert words_of(composed) == words_of(decomposed)


def test_marks_without_a_letter_are_no_words() -> None:
    assert words_of("❤️ ☺️ \u0301") == ()
    assert WORD_OR_END.findall("❤️ ☺️ \u0301") == ["❤", "☺"]  # pictures, which near duplicates compare beside words
    assert Vocabulary().sets(["❤️ ☺️ \u0301"]).sizes.tolist() == [0]  # but a text of nothing else is not compared
    assert words_of("1️⃣ 2") == ("1", "2")


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_english_is_what_it_was(text: str) -> None:
    assert WORD_OR_END.findall(text) == re.findall(r"\w+|\0", text)
    assert words_of(text) == tuple(re.findall(r"\w+", text.casefold()))


@given(st.lists(st.text(st.characters(codec=None), max_size=20), max_size=4))
def test_texts_split_together_are_split_as_each_alone(texts: list[str]) -> None:
    together = Vocabulary().sets(texts)
    assert together.sizes.tolist() == [int(Vocabulary().sets([text]).sizes[0]) for text in texts]


@pytest.mark.parametrize("text", ["a\u0301" * 300_000, "\u0301" * 500_000, "का" * 300_000, "a" * 10**6])
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.process_time()
    words_of(text)
    Vocabulary().sets([text])
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ｗｈａｔ　ｉｓ　Ｃ＋＋？", "What is C++?"),
        ("What is a co\xadoper\u200bation?", "What is a cooperation?"),
        ("\ufeffWhat\u2060 is\u200d the ﬁrst?", "What is the first?"),
        ("نامه\u200cای بنویس", "نامهای بنویس"),
        ("ｶﾞｲﾄﾞを書いて", "ガイドを書いて"),
        ("Solve x² + ½ = 0", "Solve x^2 + 1/2 = 0"),
        ("3 − 4 × 5 ≤ 6", "3 - 4 * 5 <= 6"),
        ("a\xa0b c… it’s", "a b c... it's"),
    ],
)
def test_forms_of_one_text_are_the_same(first: str, second: str) -> None:
    assert words_of(first) == words_of(second) and similar(first, second, 1.0) and similar(second, first, 1.0)


def test_numbers_keep_their_value() -> None:
    assert words_of("10² 3½") == ("10", "2", "3", "1", "2")
    assert not similar("What is 10²?", "What is 102?")


@given(st.text(st.characters(codec=None), max_size=30))
def test_the_normal_form_does_not_depend_on_how_letters_are_composed(text: str) -> None:
    assert normal_form(unicodedata.normalize("NFD", text)) == normal_form(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two - three", 4),
        ("请写一首关于春天的诗。", 7),
        ("我用 Python 3 写代码。", 6),
        ("これは日本語の文章です。", 7),
        ("ภาษาไทยไม่เว้นวรรคระหว่างคำ", 8),
        ("한국어는 띄어쓰기를 한다", 3),
    ],
)
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_english_words_are_counted_between_white_space(text: str) -> None:
    assert count_words(text) == len(text.split())


def test_the_rule_on_contamination_counts_as_changed() -> None:
    assert Contamination([]).version >= 2
