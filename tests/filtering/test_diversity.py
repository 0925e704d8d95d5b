"""Near-duplicate removal is exact: it decides as comparing all pairs does."""

from __future__ import annotations

import json
import random
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.filtering.diversity import Diversity, SimilarityIndex, exact_fraction
from synthetic_instruction_tuner.records import Record

GPTEACHER = Path(__file__).parents[3] / "shared" / "data" / "gpteacher" / "codegen-instruct.json"

Decision = tuple[int, Fraction] | None


def brute(texts: list[str], threshold: Fraction) -> list[Decision]:
    """For each text the most similar earlier kept one at or above the threshold; the earliest of equals."""
    kept: list[tuple[int, frozenset[str]]] = []
    decisions: list[Decision] = []
    for i, text in enumerate(texts):
        words = frozenset(re.findall(r"\w+", text.lower()))
        similar = [(Fraction(len(words & k), len(words | k)), -j) for j, k in kept] if words else []
        best = max((s for s in similar if s[0] >= threshold), default=None)
        decisions.append((-best[1], best[0]) if best else None)
        if words and not best:
            kept.append((i, words))
    return decisions


def indexed(texts: list[str], threshold: Fraction, first_order: int = 256) -> list[Decision]:
    index, kept, decisions = SimilarityIndex(threshold), [], []
    index._next_order = first_order
    for i, text in enumerate(texts):
        words = index.numbers(text)
        found = index.most_similar(words)
        decisions.append((kept[found[0]], Fraction(found[1], found[2])) if found else None)
        if words and not found:
            index.add(words)
            kept.append(i)
    return decisions


def near_duplicates(rng: random.Random, count: int, vocabulary: int) -> list[str]:
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and rng.random() < 0.6:
            words = list(rng.choice(texts))
            for _ in range(rng.randint(0, 4)):
                if words and rng.random() < 0.5:
                    words.pop(rng.randrange(len(words)))
                else:
                    words.append(f"w{rng.randrange(vocabulary)}")
        else:
            words = [f"w{int(vocabulary * rng.random() ** 2)}" for _ in range(rng.randint(0, 20))]
        texts.append(words)
    return [" ".join(words) for words in texts]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=10).map(" ".join), max_size=25),
    st.sampled_from(["0.8", "0.5", "0.1", "1.0", "0.75", "0.999", "0.6666", "1e-05"]),
    st.sampled_from([1, 2, 256]),
)
def test_equals_brute_force_on_small_sets(texts: list[str], threshold: str, first_order: int) -> None:
    limit = exact_fraction(float(threshold))
    assert indexed(texts, limit, first_order) == brute(texts, limit)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.8, 0.6])
def test_equals_brute_force_on_near_duplicates(seed: int, threshold: float) -> None:
    texts = near_duplicates(random.Random(seed), 700, 200)
    limit = exact_fraction(threshold)
    decisions = indexed(texts, limit, 16)
    assert decisions == brute(texts, limit)
    assert sum(d is not None for d in decisions) > 100  # there was something to find


def test_equals_brute_force_on_real_instructions() -> None:
    if not GPTEACHER.exists():
        pytest.skip(f"{GPTEACHER} is not here")
    texts = [row["instruction"] for row in json.loads(GPTEACHER.read_text(encoding="utf-8"))][:900]
    decisions = indexed(texts, Fraction(4, 5))
    assert decisions == brute(texts, Fraction(4, 5))
    assert any(decisions)


def test_exactly_the_threshold_is_a_duplicate() -> None:
    rule = Diversity(0.8)
    rule.judge(Record("first", "one two three four"))
    rule.keep()
    verdict = rule.judge(Record("second", "Five, four: three TWO one!"))  # 4 of 5 words
    assert (verdict.passed, verdict.measured, verdict.limit, verdict.partner) == (False, 0.8, 0.8, "first")
    assert "first" in verdict.reason


@pytest.mark.parametrize("percent", range(1, 101))
def test_every_percent_is_exact(percent: int) -> None:
    threshold = exact_fraction(percent / 100)
    assert threshold == Fraction(percent, 100)
    index = SimilarityIndex(threshold)
    index.add(index.numbers(" ".join(f"w{i}" for i in range(percent))))
    assert index.most_similar(index.numbers(" ".join(f"w{i}" for i in range(100)))) == (0, percent, 100)
    if percent < 100:
        assert index.most_similar(index.numbers(" ".join(f"w{i}" for i in range(101)))) is None


def test_instructions_without_words_are_not_compared() -> None:
    rule = Diversity(0.8)
    for i in range(3):
        verdict = rule.judge(Record(str(i), "😀 !!!"))
        rule.keep()
        assert verdict.passed and verdict.measured is None
