"""The data that runs depend on is pinned: what each family draws, the mixture, and the items of the nano benchmarks.

A run's data files are the same for the same seed only while these stay. Whoever changes them on purpose trains the
embedded models again, then renews the hashes.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

import pytest

from synthetic_instruction_tuner.evaluation.benchmarks import nano_ifeval, nano_mmlu, nano_mt
from synthetic_instruction_tuner.nano.world import mixture
from synthetic_instruction_tuner.nano.world.family import Family

FAMILIES = {
    "add": "4d3c1eb30121",
    "subtract": "9327dec0e0b0",
    "times": "d8c0816e4115",
    "word_problem": "f7c3e6ee287d",
    "groups": "4d8de69dbe8c",
    "order_numbers": "127ad7470e33",
    "compare": "b9246a45ad71",
    "sequence": "46db6bbd8871",
    "sort_words": "11ef433da6d8",
    "reverse_list": "e20b4c69e861",
    "longest_word": "f27b96b42c39",
    "replace_word": "99ad493a807a",
    "capitals": "cc85f5d2c183",
    "extract": "b58722bfe853",
    "code_function": "b8fd16170e29",
    "code_explain": "fe95a8be2e7d",
    "town_fact": "5ea6554e62d4",
    "town_compare": "97272faa46c7",
    "town_summary": "a1794a060207",
    "story": "d8c6cc83b130",
    "poem": "7fa7bc0e98c8",
    "describe": "aa299ebe1906",
    "letter": "a5b3ab406aa0",
    "advice": "4c31a4d2d1fd",
    "if_lowercase": "67d07f2a6612",
    "if_uppercase": "293ac769bd63",
    "if_keywords": "49ead46edc11",
    "if_forbidden": "c84cf0f2ca72",
    "if_bullets": "8c45f927f377",
    "if_no_comma": "debfbf1751cc",
    "if_end_phrase": "5443422f3edd",
    "if_quotation": "b745b3d974ba",
    "if_title": "31daef5c4bdc",
    "if_postscript": "c04957026de5",
    "if_sentences": "0320daa58a27",
    "if_frequency": "ba44c6f040b3",
    "if_two_lowercase_and_bullets": "b27c6ecf39b4",
    "if_two_lowercase_and_no_comma": "e0a8e1ef6d8f",
    "if_two_uppercase_and_no_comma": "adf1c9411458",
    "if_two_lowercase_and_quotation": "28cb940d057c",
    "if_two_keywords_and_no_comma": "18571aa7310e",
    "if_two_bullets_and_title": "c532f8c02afc",
    "if_two_title_and_postscript": "bcb114323398",
    "if_two_forbidden_and_quotation": "99121754cb7c",
    "if_two_keywords_and_end_phrase": "60cc5b26ca32",
    "if_two_sentences_and_title": "df9c1846f05e",
    "multiple_choice": "65cd4d7f515e",
    "opposite": "31526e3b4579",
    "odd_one_out": "e41de10105f6",
    "yes_no": "645926cdedca",
    "db_agent": "734d40f5905c",
    "os_agent": "8cd3a042ec7e",
    "real_world": "1a64ea9ed3d8",
    "german": "d2ce5a00cec0",
    "spanish": "47e140a1d144",
    "korean": "72b0f3dda1a1",
    "small_talk": "a56fc9b5768f",
    "song": "611cd058711a",
}


def hashed(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]


@pytest.mark.parametrize("family", mixture.FAMILIES, ids=lambda family: family.name)
def test_a_family_draws_the_pinned_tasks(family: Family) -> None:
    rng = Random(20)
    tasks = [family.draw(rng, split) for split in ("train", "eval") for _ in range(100)]
    assert hashed([(t.instruction, t.response, t.worksheet, t.key) for t in tasks]) == FAMILIES[family.name]


def test_families_are_in_the_pinned_order() -> None:
    assert [family.name for family in mixture.FAMILIES] == list(FAMILIES)


def test_the_mixture_is_pinned() -> None:
    rng = Random(21)
    drawn = [mixture.sample_item(rng) for _ in range(1000)]
    rows = [
        (i.family, i.domain, [(m.role, m.content) for m in i.messages], i.worksheet, i.key, i.flaw, i.marked)
        for i in drawn
    ]
    assert hashed(rows) == "81cc9814a769"
    rng = Random(22)
    assert hashed([write(rng, 0.3) for _ in range(300) for write in (mixture.worksheet_text, mixture.qa_text)]) == (
        "ad31248edc36"
    )


def test_items_of_the_nano_benchmarks_are_pinned() -> None:
    assert hashed([(i.id, i.prompt, i.rules, i.reference) for i in nano_ifeval.items(200)]) == "34fc350bf27b"
    assert hashed([(i.id, i.question, i.options, i.right) for i in nano_mmlu.items(200)]) == "f4186ca58fd1"
    assert hashed([(i.id, i.prompts, i.references) for i in nano_mt.items(200)]) == "0953236a888d"
