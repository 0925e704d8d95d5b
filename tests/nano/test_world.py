"""The whole nano world: families are told apart, splits stay apart, and filters find as much to drop as intended."""

from __future__ import annotations

import re
import time
from random import Random

from synthetic_instruction_tuner.nano.world import checking, mixture
from synthetic_instruction_tuner.nano.world.family import split_of, undress
from synthetic_instruction_tuner.records import Message
from world_splits import split_of_conversation

REFUSALS = ("i'm an ai", "i cannot", "i don't have", "as an ai", "i'm not able")
FOREIGN = set(
    [
        "der",
        "die",
        "das",
        "dass",
        "ist",
        "nicht",
        "ein",
        "eine",
        "ich",
        "man",
        "und",
        "aber",
        "als",
        "wie",
        "sehr",
        "wenn",
        "du",
        "hier",
        "meine",
        "mehr",
        "oder",
        "el",
        "la",
        "los",
        "que",
        "es",
        "una",
        "por",
        "con",
        "muy",
        "hay",
        "pero",
        "las",
        "te",
        "lo",
        "si",
        "otra",
        "vez",
        "mi",
        "y",
        "de",
        "se",
    ]
)


def near_duplicates(texts: list[str], threshold: float = 0.8) -> set[int]:
    """Returns the places of texts whose word set is close to that of an earlier text that was kept."""
    kept: list[set[str]] = []
    dropped = set()
    for i, text in enumerate(texts):
        words = set(re.findall(r"\w+", text.lower()))
        for other in kept:
            low, high = sorted((len(words), len(other)))
            if low >= threshold * high and len(words & other) >= threshold * len(words | other):
                dropped.add(i)
                break
        else:
            kept.append(words)
    return dropped


def rejected(response: str) -> str | None:
    """Returns which of the customary filter rules drops the response, or None."""
    words = response.split()
    if not 20 <= len(words) <= 500:
        return "length"
    plain = response.lower().replace("\u2019", "'")
    if any(phrase in plain for phrase in REFUSALS):
        return "refusal"
    lines = [line.strip() for line in response.split("\n") if line.strip()]
    for parts in (words, lines):
        if any(len(set(parts[i : i + 4])) == 1 for i in range(len(parts) - 3)):
            return "repetition"
    foreign = sum(word.strip(".,?").lower() in FOREIGN for word in words)
    return "language" if foreign >= 3 or re.search("[\uac00-\ud7a3]", response) else None


def test_items_are_found_again_and_judged_right() -> None:
    rng = Random(1)
    for split in ("train", "eval"):
        for _ in range(2500):
            item = mixture.sample_item(rng, split)
            verdict = checking.check(item.messages)
            assert verdict is not None, item
            assert verdict.family == item.family, item
            assert verdict.clean == (not item.marked), item
            assert verdict.right == (item.flaw is None), (verdict, item)
            assert verdict.reason == (f"flaw: {item.flaw}" if item.flaw else None)
            assert split_of(item.key) == split == split_of_conversation(item.messages), item


def test_system_prompts_name_the_domain() -> None:
    rng = Random(2)
    items = [mixture.sample_item(rng, system=1.0) for _ in range(2000)]
    assert all(item.messages[0].content in mixture.DOMAINS[item.domain] for item in items)
    assert {item.domain for item in items} == set(mixture.DOMAINS)


def test_filters_drop_about_a_third() -> None:
    rng = Random(3)
    items = [mixture.sample_item(rng, multi_turn=0.0, system=0.0) for _ in range(1500)]
    close = near_duplicates([item.messages[0].content for item in items])
    assert len(close) <= 0.12 * len(items)
    reasons = [rejected(item.messages[-1].content) for item in items]
    for kind, rule in (("refusal", "refusal"), ("language", "language"), ("short", "length"), ("loop", "repetition")):
        assert {r for r, item in zip(reasons, items, strict=True) if item.flaw == kind} == {rule}
    dropped = sum(r is not None or i in close for i, r in enumerate(reasons))
    assert 0.27 <= dropped / len(items) <= 0.36
    clean = [r for r, item in zip(reasons, items, strict=True) if item.flaw is None]
    assert sum(r is not None for r in clean) <= 0.03 * len(clean)


def test_no_evaluation_instruction_in_training_documents() -> None:
    rng = Random(4)
    held_out = {undress(first_user(mixture.sample_item(rng, "eval"))) for _ in range(3000)}
    for _ in range(20_000):
        assert undress(first_user(mixture.sample_item(rng))) not in held_out
    for _ in range(1000):
        for text in (mixture.worksheet_text(rng), mixture.qa_text(rng)):
            assert not any(line in held_out for line in text.split("\n"))


def first_user(item: mixture.Item) -> str:
    return next(m.content for m in item.messages if m.role == "user")


def test_documents_hold_an_answer_and_no_request() -> None:
    rng = Random(5)
    for _ in range(300):
        assert mixture.qa_text(rng).startswith("Question: ") and "\nAnswer: " in mixture.qa_text(rng)
        assert mixture.worksheet_text(rng).startswith("# ")


def test_strangers_are_not_recognised() -> None:
    assert checking.check([Message("user", "Tell me a joke."), Message("assistant", "Ha.")]) is None
    assert checking.check([Message("user", "What is the opposite of hot?")]) is None
    assert split_of_conversation([Message("user", "Tell me a joke.")]) is None


def test_there_are_enough_families_with_enough_wordings() -> None:
    assert len({family.name for family in mixture.FAMILIES}) == len(mixture.FAMILIES)
    assert len(mixture.CLEAN) >= 24 and len(mixture.FOLLOW_UPS) >= 6
    assert all(len(family.templates) >= 5 for family in mixture.CLEAN)


def test_drawing_is_fast() -> None:
    rng = Random(6)
    start = time.process_time()
    for _ in range(3000):
        mixture.sample_item(rng)
    assert 3000 / (time.process_time() - start) > 5000  # far below what an idle core does, for busy machines
