"""MMLU's scores of answers that are texts, without a model: the letter that each of them chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import LETTERS, NAME, MmluItem
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.evaluation.saved_answers import chosen_letter, without_thinking

HEADLINE = "acc"
Mode = Literal["letter"]


def score_answers(items: Sequence[MmluItem], answers: Sequence[str], mode: Mode = "letter") -> BenchmarkResult:
    """Returns the scores of one answer to each item: an answer without a readable choice is wrong, and counted.

    Raises:
        ValueError: there are not as many answers as items.
    """
    chosen = [chosen_letter(text, item.options) for item, text in zip(items, answers, strict=True)]
    results = [item_result(item, letter or "", {HEADLINE: letter}) for item, letter in zip(items, chosen, strict=True)]
    empty = sum(not without_thinking(text).strip() for text in answers)
    unread = sum(letter is None for letter in chosen) - empty
    return BenchmarkResult(NAME, HEADLINE, tuple(results), n_empty=empty, n_unparsed=unread)


def item_result(item: MmluItem, output: str, chosen: dict[str, str | None]) -> ItemResult:
    """Returns an item's result: by metric, whether the chosen letter is the right one."""
    scores: dict[str, tuple[float, ...]] = {m: (float(letter == LETTERS[item.right]),) for m, letter in chosen.items()}
    return ItemResult(item.id, (item.prompt,), (output,), scores, labels=(item.subject,))
