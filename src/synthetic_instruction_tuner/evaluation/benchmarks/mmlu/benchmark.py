"""What a run does with MMLU: the letter with the highest log-likelihood, in plain text and under the chat template.

The headline ``acc`` asks in plain text with the subject's solved examples, as lm-evaluation-harness does, the same for
every variant: a base model has never read the chat format. A subject's examples are the same for all of its questions;
the engine reads them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config.sections.evaluate import MmluConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import (
    COUNT,
    LETTERS,
    NAME,
    MmluItem,
    Questions,
    read_questions,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.prompts import continuations, opening
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.scoring import HEADLINE, item_result, score_answers
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.subjects import CATEGORY
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability, nothing, place_of
from synthetic_instruction_tuner.evaluation.benchmarks.subsets import fixed_subset
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown

CHANCE = 1 / len(LETTERS)
QUESTION_TOKENS = 130  # of a question with its options, about
CHUNK = 64  # questions of a subject that the engine gets at once, behind the same examples


def items(settings: MmluConfig) -> list[MmluItem]:
    """Returns the questions that the settings choose; none where this machine has no files."""
    found = _questions(settings)
    return fixed_subset(found.test, settings.items) if found else []


def at_hand(settings: MmluConfig) -> Availability:
    """Returns what this machine has.

    Raises:
        UserError: a file is damaged.
    """
    place = place_of(NAME, settings.data_dir)
    if place is None:
        return nothing(NAME)
    found = read_questions(place.folder)
    n, subjects = len(found.test), len(found.subjects)
    missing = ""
    if subjects < len(CATEGORY):
        missing = f"Only {subjects} of its {len(CATEGORY)} subjects, {n:,} of {COUNT:,} questions, are on this machine."
    elif n < COUNT:
        missing = f"Only {n:,} of its {COUNT:,} questions are on this machine."
    how = nothing(NAME).how if missing else ""
    parts = f"{subjects} of {len(CATEGORY)} subjects" if subjects < len(CATEGORY) else ""
    count = min(n, settings.items)
    return Availability(count, place.origin, found.digest, missing, how, not missing, n, COUNT, parts)


def data_key(settings: MmluConfig) -> str:
    """Returns a hash of the questions and examples; empty where there are none."""
    found = _questions(settings)
    return found.digest if found else ""


def evaluate(lm: BenchmarkLM, settings: MmluConfig) -> BenchmarkResult:
    """Returns the model's choices in every form of the prompt; the outputs are those of the headline."""
    found = _questions(settings)
    assert found is not None
    chosen = fixed_subset(found.test, settings.items)
    picked, cut = {}, 0
    for metric, shots, chat in forms(settings):
        picked[metric] = _choices(lm, chosen, found, shots, chat)
        cut = lm.n_cut if metric == HEADLINE else cut
    results = []
    for number, item in enumerate(chosen):
        letters: dict[str, str | None] = {metric: LETTERS[choice[number]] for metric, choice in picked.items()}
        results.append(item_result(item, letters[HEADLINE] or "", letters))
    return BenchmarkResult(NAME, HEADLINE, tuple(results), n_truncated=cut)


def forms(settings: MmluConfig) -> list[tuple[str, int, bool]]:
    """Returns metric, number of examples and whether under the chat template, for each form of the prompt."""
    found = [(HEADLINE, settings.shots, False)]
    if "zero_shot" in settings.further and settings.shots:
        found.append(("acc_0shot", 0, False))
    if "chat" in settings.further:
        found.append(("acc_chat", settings.shots, True))
    return found


def work(settings: MmluConfig) -> Work:
    """Returns what a variant costs: every form reads the questions, those with examples also these, once a chunk."""
    asked = forms(settings)
    chunks = min(len(CATEGORY), settings.items) + settings.items // CHUNK
    examples = sum(shots for _, shots, _ in asked) * chunks
    scored = len(asked) * QUESTION_TOKENS
    return Work(settings.items, scored_tokens=scored, shared_tokens=examples * QUESTION_TOKENS, forms=len(asked))


def breakdowns(result: BenchmarkResult) -> Sequence[Breakdown]:
    """Returns the accuracy by subject and category, and its error with each subject as one cluster."""
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown, by_label, clustered_by_label

    return (
        Breakdown("categories", "Accuracy by category", HEADLINE, tuple(by_label(result, HEADLINE, CATEGORY))),
        Breakdown("subjects", "Accuracy by subject", HEADLINE, tuple(by_label(result, HEADLINE))),
        Breakdown(
            "by_subject_clusters",
            "All questions, with each subject as one cluster",
            HEADLINE,
            (("all", clustered_by_label(result, HEADLINE)),),
        ),
    )


def _questions(settings: MmluConfig) -> Questions | None:
    place = place_of(NAME, settings.data_dir)
    return read_questions(place.folder) if place else None


def _choices(lm: BenchmarkLM, chosen: Sequence[MmluItem], found: Questions, shots: int, chat: bool) -> list[int]:
    """Returns the number of the chosen option of each item, subject by subject."""
    picked = []
    for subject, own in groupby(chosen, key=lambda item: item.subject):
        shared = opening(subject, found.examples[subject][:shots])
        picked += lm.choices([shared + item.prompt for item in own], continuations(), chat=chat)
    return picked


BENCHMARK = Benchmark(
    name=NAME,
    title="MMLU: four-choice questions of 57 subjects, answered by log-likelihood",
    metrics=(
        Metric("acc", "share of correct choices, asked in plain text", column="MMLU", random_level=CHANCE),
        Metric("acc_0shot", "share of correct choices without solved examples", random_level=CHANCE),
        Metric("acc_chat", "share of correct choices, asked with the chat template", random_level=CHANCE),
    ),
    items=items,
    evaluate=evaluate,
    work=work,
    at_hand=at_hand,
    data_key=data_key,
    breakdowns=breakdowns,
    score_saved=lambda chosen, answers, _: score_answers(chosen, [text for (text,) in answers]),
    form="The headline asks every variant in plain text, with solved examples of the subject: an untuned model knows "
    "no chat format, and published scores are measured so. acc_chat is the same text under the chat template.",
)
