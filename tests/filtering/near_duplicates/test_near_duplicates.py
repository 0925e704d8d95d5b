"""Near-duplicate removal is exact: it decides as comparing all pairs does, however the texts are split into batches."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from all_pairs import Decision, brute, counted, near_duplicates, symbol_set, word_set
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter, quality_filter
from synthetic_instruction_tuner.filtering.near_duplicates import index as index_module
from synthetic_instruction_tuner.filtering.near_duplicates import keep_first, postings, symbol_places
from synthetic_instruction_tuner.filtering.near_duplicates import word_sets as wordsets
from synthetic_instruction_tuner.filtering.near_duplicates.index import NearDuplicateIndex, without_overflow
from synthetic_instruction_tuner.filtering.near_duplicates.keep_first import KeepFirst
from synthetic_instruction_tuner.filtering.near_duplicates.rule import NearDuplicates, exact_fraction
from synthetic_instruction_tuner.filtering.near_duplicates.symbols import POINTS, WEAK, symbols_in
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import Vocabulary
from synthetic_instruction_tuner.records import Record

DATA = Path(__file__).parents[4] / "shared" / "data"
MOST_TEXTS = 1500  # all pairs of them are counted in less than a second

THRESHOLDS = ["0.8", "0.5", "0.1", "1.0", "0.75", "0.999", "0.6666", "1e-05", "0.12345678901234567"]


def decided(
    texts: Sequence[str],
    threshold: Fraction,
    cuts: Iterator[int] | None = None,
    may_stay: Sequence[bool] | None = None,
    first_order: int = index_module.FIRST_ORDER,
) -> list[Decision]:
    """What KeepFirst decides when the texts come in batches of the sizes in `cuts`."""
    rule = KeepFirst(threshold)
    rule.index._next_order = first_order
    decisions: list[Decision] = []
    kept: list[int] = []
    while len(decisions) < len(texts):
        start = len(decisions)
        stop = min(start + (next(cuts) if cuts else len(texts)), len(texts))
        made = rule.decide(texts[start:stop], may_stay[start:stop] if may_stay else None)
        kept += (np.flatnonzero(made.stays) + start).tolist()
        decisions += [(kept[n], Fraction(s, u)) if n >= 0 else None for n, s, u in made.matches]
    assert len(rule.index) == len(kept)
    return decisions


def sizes(rng: random.Random, most: int) -> Iterator[int]:
    while True:
        yield rng.randint(1, most)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abcdefghij"), max_size=10).map(" ".join), st.booleans()), max_size=25),
    st.sampled_from(THRESHOLDS),
    st.sampled_from([1, 2, 5, 256]),
    st.randoms(use_true_random=False),
)
def test_equals_brute_force_on_small_sets(
    pairs: list[tuple[str, bool]], threshold: str, first_order: int, rng: random.Random
) -> None:
    texts, may_stay = [text for text, _ in pairs], [stay or rng.random() < 0.7 for _, stay in pairs]
    limit = exact_fraction(float(threshold))
    expected = brute(texts, limit, may_stay)
    assert decided(texts, limit, sizes(rng, 6), may_stay, first_order) == expected
    assert decided(texts, limit, None, may_stay, first_order) == expected


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("threshold", [0.8, 0.6])
def test_equals_brute_force_on_near_duplicates(seed: int, threshold: float) -> None:
    rng = random.Random(seed)
    texts = near_duplicates(rng, 700, 200)
    limit = exact_fraction(threshold)
    expected = brute(texts, limit)
    for most in (1, 40, 700):
        assert decided(texts, limit, sizes(rng, most), first_order=16) == expected
    assert sum(d is not None for d in expected) > 100  # there was something to find


@pytest.mark.parametrize("longest", [60, 900])
def test_equals_brute_force_on_large_sets(longest: int) -> None:
    """Here sketches have all bits flipped many times, and more words differ than a sketch has bits."""
    rng = random.Random(longest)
    texts = near_duplicates(rng, 110, 3000, longest)
    for threshold in (0.8, 0.3):
        limit = exact_fraction(threshold)
        assert decided(texts, limit, sizes(rng, 50), first_order=64) == brute(texts, limit)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(part)


def real_texts(pattern: str, field: str | None) -> list[str]:
    texts: list[str] = []
    for file in sorted(DATA.glob(pattern)):
        content = file.read_text(encoding="utf-8")
        lines = content.splitlines() if file.suffix == ".jsonl" else []
        rows = [json.loads(line) for line in lines if line.strip()] if lines else json.loads(content)
        texts += [row[field] for row in rows] if field else strings(rows)
    return texts


@pytest.mark.parametrize(
    ("pattern", "field", "duplicates"),
    [
        ("gpteacher/*.json", "instruction", 90),
        ("gpteacher/*.json", "response", 30),
        ("gsm8k/train.jsonl", "question", 0),
        ("gsm8k/train.jsonl", "answer", 0),
        ("self-instruct/*.jsonl", None, 80),
        ("instructionwild/*.jsonl", "instruction", 1),
        ("fastchat/*.json", None, 500),
        ("ifeval/*.jsonl", "prompt", 0),
        ("mt_bench/**/*.jsonl", None, 1),
    ],
)
def test_equals_counting_all_pairs_of_real_texts(pattern: str, field: str | None, duplicates: int) -> None:
    texts = real_texts(pattern, field)[:MOST_TEXTS]
    if not texts:
        pytest.skip(f"{DATA / pattern} is not here")
    expected = counted(texts, 4, 5)
    assert sum(d is not None for d in expected) >= duplicates
    assert decided(texts, Fraction(4, 5)) == expected
    assert decided(texts, Fraction(4, 5), sizes(random.Random(0), 1000), first_order=64) == expected


def test_the_oracle_of_real_texts_is_right() -> None:
    texts = near_duplicates(random.Random(5), 600, 100)
    assert counted(texts, 4, 5) == brute(texts, Fraction(4, 5))


def test_thousands_of_near_equal_texts_in_one_batch() -> None:
    """All are similar to the first, and many to each other: only what stays is compared with."""
    rng = random.Random(0)
    base = [f"w{i}" for i in range(40)]
    texts = [" ".join(rng.sample(base, 36)) for _ in range(2000)]
    expected = counted(texts, 4, 5)
    assert decided(texts, Fraction(4, 5)) == expected


def test_small_batches_of_the_implementation_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = near_duplicates(random.Random(9), 500, 150)
    expected = brute(texts, Fraction(4, 5))
    for batch, at_once, characters in ((70, 5, 30), (640, 100, 1), (1, 1, 10**6)):
        monkeypatch.setattr(index_module, "BATCH", batch)
        monkeypatch.setattr(keep_first, "BATCH", batch)
        monkeypatch.setattr(postings.pieces, "__defaults__", (at_once,))
        monkeypatch.setattr(index_module, "MOST", at_once)
        monkeypatch.setattr(keep_first, "MOST", at_once)
        monkeypatch.setattr(wordsets, "CHARACTERS", characters)
        assert decided(texts, Fraction(4, 5), first_order=10) == expected


def test_remembered_texts_are_all_compared_with() -> None:
    rule = KeepFirst(Fraction(4, 5))
    known = ["a b c d e", "a b c d e f", "!!", "a b c d e f g"]  # the second is similar to the first, and so on
    assert rule.remember(known).tolist() == [True, True, False, True]
    made = rule.decide(["a b c d e f g h", "x y", "Y X", "a b c d"])
    assert list(made.matches) == [(2, 7, 8), (-1, 0, 1), (3, 2, 2), (0, 4, 5)]
    assert made.stays.tolist() == [False, True, False, False]


@settings(max_examples=120, deadline=None)
@example(["\0", "a\0b", "ΑΣ", "Σ", "ΑΣ\0Α", "İ", "ß_1", "\ud800x"])
@given(st.lists(st.text(st.characters(codec=None), max_size=20), max_size=8))
def test_words_are_what_the_pattern_finds(texts: list[str]) -> None:
    vocabulary = Vocabulary()
    sets = vocabulary.sets(texts)
    name = {number: word for word, number in vocabulary.items()}
    found = [frozenset(name[n] for n in sets.take(np.array([i])).words.tolist()) for i in range(len(texts))]
    assert found == [word_set(text) for text in texts]
    assert sets.sizes.tolist() == [len(words) for words in found]


SIGNED = st.lists(
    st.one_of(
        st.sampled_from("ab1 \n-*/!.:'\"?()[]{}<=>+^~|%$#&\\·_,;`"),
        st.sampled_from(
            ["\t", "\xa0", "\x1c", "é", "\u0301", "写", "の", "ไ", "€", "°", "♭", "⌊", "“", "—", "•", "²", "½", "𐒠"]
        ),
        st.sampled_from(["sin", "10km", "operator ", "symbol", "\\frac{", " - ", "**", "//", "->", "n!", "x_1"]),
        st.sampled_from(["node.js", "x.net ", ".net", "*args", "**b** ", "$path", ":root", "/etc", "(.c"]),
    )
).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(SIGNED, max_size=4))
@example(["x_1*½", "12* 5", "12*½"])
def test_symbols_are_found_where_they_can_be(texts: list[str]) -> None:
    found = Vocabulary().sets(texts).pieces
    assert [symbols_in(pieces) for pieces in found] == [symbol_set(text) for text in texts]


def test_ordinary_signs_mean_nothing_beside_anything() -> None:
    kinds_of_characters = "a1 \u0301.:'*-/!?\\+\",=)"
    beside = ["".join(two) for two in product(kinds_of_characters, repeat=2)]
    whole = "".join(f"{before}{sign}{after}\n\0\n" for before in beside for sign in POINTS + WEAK for after in beside)
    codes = np.frombuffer(whole.encode("utf-32-le"), "<u4")
    kinds = symbol_places._kinds(1 << 16)[codes]
    at = np.arange(2, len(codes), 8)
    ordinary = symbol_places._are_ordinary(codes, kinds, at)
    assert ordinary.any() and not (ordinary & symbol_places._can_mean(codes, kinds, at)).any()


DIFFERENT = [
    ["Write hello world in C", "Write hello world in C++", "Write hello world in C#", "Write hello world in F#"],
    ["What is 3 + 4?", "What is 3 - 4?", "What is 4 - 3?", "What is 3 * 4?", "What is 3/4?", "What is 4 / 3?"],
    ["Is 3 < 5?", "Is 3 > 5?", "Is 5 < 3?", "Is 3 <= 5?", "Is 3 = 5?", "Is 3 != 5?"],
    ["Solve x^2 - 5x + 6 = 0", "Solve x^2 + 5x - 6 = 0", "Solve x^2 - 5x - 6 = 0", "Solve -x^2 - 5x + 6 = 0"],
    ["a == b", "a != b", "a === b", "a & b", "a && b", "a | b", "a || b", "a ^ b"],
    ["10% of it", "10 of it", "$10 of it", "€10 of it", "-10 of it", "10! of it", "0.10 of it"],
    ["Take .5", "Take 5"],
    ["2 * (3 + 4)", "2 * 3 + 4"],
    ["(3 + 4) * 5", "3 + (4 * 5)"],
    ["Grade A+", "Grade A-", "Grade A"],
    ["f'(2)", "f(2)", "f''(2)"],
    ["5x - 3 = 1", "5x + 3 = 1"],
    ["sin x - cos x", "sin x + cos x"],
    ["i++", "i--", "++i"],
    ["写 3 + 4", "写 3 - 4"],
    ["Sort [1, 2]", "Sort {1, 2}", "Sort (1, 2)"],
    ["On (0,1) it is", "On [0,1] it is", "On [0,1) it is", "On (0,1] it is"],
    ['Print ["b", "a"]', 'Print {"b", "a"}', 'Print ("b", "a")'],
    ["Sort [pear, fig]", "Sort {pear, fig}"],
    ["Read a[i]", "Read a(i)", "Read a{i}"],
    ["Explain a[1:]", "Explain a[:1]"],
    ["Is [] true?", "Is {} true?"],
    ["See HEAD~", "See HEAD^", "See HEAD"],
    ["Compute !x", "Compute x!", "Compute x"],
    ["Compute (n+1)!", "Compute (n+1)"],
    ["#include <x.h>", '#include "x.h"'],
    ["It is 30 °C", "It is 30 °F", "It is 30 C"],
    ["Take 10%", "Take 10‰", "Take 10"],
    ["The note B♭", "The note B♯", "The note B"],
    ["Write 0..5", "Write 0...5", "Write 0, 5"],
    ["Print \\n", "Print n"],
    ["Explain the - operator", "Explain the / operator", "Explain the operator"],
    ["What does '-' do?", 'What does "/" do?', "What does `*` do?"],
    ["Find ⌊x⌋", "Find ⌈x⌉", "Find x"],
    ["x = 5 here", "x < 5 here", "x > 5 here"],
    ["What is *p", "What is &p", "What is p"],
    ["About .NET here", "About NET here", "About #NET here", "About @NET here"],
    ["In a C file", "In a .c file"],
    ["Delete a Node", "Delete a Node.js", "Delete a Node.ts"],
    ["Set PATH", "Set $PATH", "Set %PATH%"],
    ["List /etc", "List etc"],
    ["Style :root", "Style .root", "Style #root", "Style root"],
    ["Explain *args", "Explain **args", "Explain args", "Explain (&args)"],
    ["Open `.docx`", "Open `docx`"],
]
SAME = [
    ["What is 3 + 4?", "What is 3+4 ?", "what is (3 + 4)", "What is 3 ＋ 4?"],
    ["C++ or C#?", "(C++) or **C#**", "C♯ or C++"],
    ["It costs 5 %, or $5", "It costs 5%, or 5 $", "It costs $5 or 5%"],
    ["- well-known text -- here", "* well known *text* - here", "> Well known text: here!", "# Well-known text / here"],
    ["pages 3-4 and 5 - 6", "pages 3–4 and 5−6"],
    ["Find $x^2 - 1$", "Find x^2 - 1"],
    ["either/or", "either or", "“either” - ‘or’"],
    ["Sort [1, 2] now", "Sort [ 1, 2 ] now", "Sort ［1，2］ now", "sort **[1, 2]** now!"],
    ["It costs $5", "It costs $ 5", "It costs 5$"],
    ["It is 30°C", "It is 30 °C", "It is 30° C", "It is 30 ℃"],
    ["What is 3+4", "What is 3+ 4", "What is 3 +4"],
    ["if x > 5", "if x> 5", "if x>5"],
    ["let x = -5", "let x = - 5", "let x=-5"],
    ["Area of x² and H₂O", "Area of x^2 and H2O", "Area of $x^{2}$ and H2O"],
    ["What is 3·4", "What is 3 × 4", "What is 3*4"],
    ["Is x ≤ 5?", "Is x <= 5"],
    ["Explain the _main_ idea", "Explain the main idea", "Explain _the main_ idea"],
    ["The ____ is red", "The ______ is red"],
    ["Write to [Name] (now)", "Write to Name now", "Write to {Name} — now"],
    ["See the [page](here)", "See the page here"],
    ["co\u00adoperate he\u200bre", "cooperate here", "ｃｏｏｐｅｒａｔｅ here"],
    ["Plan B!", "Plan B", "plan b?"],
    ["It ends.Then it goes on", "It ends. Then it goes on", "It ends: then it goes on..."],
    ["Open notes of u.s. firms", "Open notes of (u.s.) firms"],
    ["This is **very important** to *all of us*", "This is very important to ***all of us***"],
    ["Find $speed$ and $sin x$", "Find speed and sin x"],
    ["Use Node.js now", "use (node.js) now", "Use `Node.js` now!"],
    ["Use .NET now", "use (.NET) now", "Use **.NET** now!"],
]


@pytest.mark.parametrize("texts", DIFFERENT)
@pytest.mark.parametrize("around", ["{}", "Please read this very carefully and explain each step of your own way: {}."])
def test_a_symbol_that_carries_meaning_distinguishes(texts: list[str], around: str) -> None:
    made = KeepFirst(Fraction(4, 5)).decide([around.format(text) for text in texts])
    assert made.stays.all()
    one_by_one = KeepFirst(Fraction(4, 5))
    assert all(one_by_one.decide([around.format(text)]).stays.all() for text in texts)


@pytest.mark.parametrize("texts", SAME)
def test_how_a_formula_is_set_does_not_distinguish(texts: list[str]) -> None:
    assert [d and d[1] for d in decided(texts, Fraction(1))] == [None, *[Fraction(1)] * (len(texts) - 1)]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("请给我写一首关于春天的短诗，要押韵。", "请给我写一首关于春天的短诗，一定要押韵！", True),
        ("写一首关于春天的诗", "写一首关于秋天的诗", False),
        ("日本の首都はどこですか、教えてください。", "日本の首都はどこですか？教えてくださいね", True),
        ("日本の首都はどこですか。", "フランスの首都はどこですか。", False),
        ("ช่วยอธิบายวิธีการปลูกข้าวให้หน่อย", "ช่วยอธิบายวิธีการปลูกข้าวให้หน่อยครับ", True),
        ("ช่วยอธิบายวิธีการปลูกข้าว", "ช่วยอธิบายวิธีการทำอาหาร", False),
        ("សូមសរសេររឿងខ្លីមួយអំពីឆ្មា", "សូមសរសេររឿងខ្លីមួយអំពីឆ្មា។", True),
        ("ကျေးဇူးပြု၍ ကဗျာတစ်ပုဒ်ရေးပါ", "ကျေးဇူးပြု၍ကဗျာတစ်ပုဒ်ရေးပါ။", True),
        ("ກະລຸນາຂຽນເລື່ອງກ່ຽວກັບແມວ", "ກະລຸນາອະທິບາຍວິທີປູກເຂົ້າ", False),
    ],
)
def test_text_without_spaces_has_words(first: str, second: str, found: bool) -> None:
    assert (decided([first, second], Fraction(4, 5))[1] is not None) is found


def test_exactly_the_threshold_is_a_duplicate() -> None:
    rule = NearDuplicates(0.8)
    records = [Record("first", "one two three four"), Record("second", "Five, four: three TWO one!")]  # 4 of 5 words
    kept, verdict = rule.check(records, [True, True])
    assert kept.passed
    assert (verdict.passed, verdict.value, verdict.limit, verdict.matched) == (False, 0.8, 0.8, "first")
    assert "first" in verdict.reason


@pytest.mark.parametrize("percent", range(1, 101))
def test_every_percent_is_exact(percent: int) -> None:
    threshold = exact_fraction(percent / 100)
    assert threshold == Fraction(percent, 100)
    index = NearDuplicateIndex(threshold)
    index.add(index.sets([" ".join(f"w{i}" for i in range(percent))]))
    assert list(index.most_similar(index.sets([" ".join(f"w{i}" for i in range(100))]))) == [(0, percent, 100)]
    if percent < 100:
        assert list(index.most_similar(index.sets([" ".join(f"w{i}" for i in range(101))]))) == [(-1, 0, 1)]


@settings(max_examples=100, deadline=None)
@given(st.fractions(0, 1).filter(bool), st.integers(1, 40))
def test_a_threshold_without_overflow_means_the_same(threshold: Fraction, most: int) -> None:
    all_of_them = sorted({Fraction(a, b) for b in range(1, most + 1) for a in range(1, b + 1)})
    assert without_overflow(threshold, most) == min(f for f in all_of_them if f >= threshold)


def test_a_threshold_with_many_digits_does_not_overflow() -> None:
    for value in (0.8 + 1e-13, 0.8 - 1e-13, 1e-300, 0.12345678901234567):
        index = NearDuplicateIndex(exact_fraction(value))
        index.add(index.sets([" ".join(f"w{i}" for i in range(80_000))]))
        (found,) = index.most_similar(index.sets([" ".join(f"w{i}" for i in range(100_000))]))
        assert (found[0] == 0) == (value <= 0.8)


def test_too_many_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "LARGEST", 3)
    with pytest.raises(UserError, match="too long"):
        NearDuplicateIndex(Fraction(1, 2)).sets(["a b c d"])


def test_instructions_without_words_are_not_compared() -> None:
    verdicts = NearDuplicates(0.8).check([Record(str(i), "😀 !!!") for i in range(3)], [True] * 3)
    assert all(v.passed and v.value is None for v in verdicts)
    assert NearDuplicates(0.8).check([], []) == []


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_the_filter_decides_the_same_in_any_batches(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """So it may stop after any record and go on later, as long as it has seen the ones before."""
    rng = random.Random(7)
    answer = " ".join(f"word{i}" for i in range(30))
    texts = near_duplicates(rng, 300, 60)
    records = [Record(str(i), t, answer if rng.random() < 0.8 else "") for i, t in enumerate(texts)]
    quality = QualityFilter(FilterConfig(language=""))
    expected = list(quality.check(records))
    assert [j.verdicts[-1].matched for j in expected] == [
        None if d is None else str(d[0]) for d in brute(texts, Fraction(4, 5), [bool(r.response) for r in records])
    ]
    monkeypatch.setattr(quality_filter, "BATCH", batch)
    assert list(quality.check(records)) == expected
    assert list(quality.check(records[:200])) == expected[:200]
