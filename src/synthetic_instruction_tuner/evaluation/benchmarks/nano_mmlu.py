"""Knowledge: four-choice questions from the held-out split, answered by log-likelihood, 0-shot; chance is 25 %.

The headline ``acc`` asks in plain text, the same for every variant. A base model has never read the chat format, so a
score under it would measure format, not knowledge; plain documents are what base and tuned models both know.
``acc_chat`` asks the same under the chat template and shows what the tuned model can use in conversation.

Compared are the options' own texts behind the words that open an answer, not their letters: models of this size cannot
name the letter of an option that they have not named before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config.sections.evaluate import NanoMmluConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.evaluation.saved_answers import chosen_letter
from synthetic_instruction_tuner.nano.world.families.choice.multiple_choice import choice_item

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.harness import Document, EngineLM

NAME, HEADLINE = "nano_mmlu", "acc"
SEED = 14042  # of the items, the same in every run
LETTERS = "ABCD"
CHANCE = 1 / len(LETTERS)
QUESTION_TOKENS = 60  # of a question with one of its options, about
OPENING = "The option that we look for is"


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    """A question with four options, of which the one at `right` is right."""

    id: str
    question: str
    options: tuple[str, ...]
    right: int

    @property
    def prompt(self) -> str:
        """The question with its lettered options."""
        lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, self.options, strict=True)]
        return "\n".join([self.question, *lines])

    @property
    def sheet(self) -> str:
        """The same as a plain document, up to the option that is to be named."""
        lines = [f"{letter.lower()}: {option}" for letter, option in zip(LETTERS, self.options, strict=True)]
        return "\n".join(["# multiple choice", f"question: {self.question}", *lines, "", OPENING])


def items(count: int, seed: int = SEED) -> list[ChoiceItem]:
    """Returns `count` different items of the held-out split; fewer are a prefix of more."""
    rng, found = Random(f"{NAME}-{seed}"), dict[str, ChoiceItem]()
    while len(found) < count:
        question, options, right = choice_item(rng, "eval")
        item = ChoiceItem(f"{NAME}-{len(found):04d}", question, tuple(options), right)
        found.setdefault(item.prompt, item)
    return list(found.values())


def evaluate(lm: EngineLM, settings: NanoMmluConfig) -> BenchmarkResult:
    """Returns the model's choices, in plain text and under the chat template; the outputs are the plain ones."""
    chosen = items(settings.items)
    plain = _choices(lm, chosen, chat=False)
    chat = _choices(lm, chosen, chat=True)
    results = []
    for item, (picked, hit), (_, chat_hit) in zip(chosen, plain, chat, strict=True):
        scores: dict[str, tuple[float, ...]] = {"acc": (hit,), "acc_chat": (chat_hit,)}
        results.append(ItemResult(item.id, (item.prompt,), (LETTERS[picked],), scores))
    return BenchmarkResult(NAME, HEADLINE, tuple(results))


def score_saved(
    chosen: Sequence[ChoiceItem], answers: Sequence[Sequence[str]], settings: NanoMmluConfig
) -> BenchmarkResult:
    """Returns the scores of saved answers: the letter that each of them chooses; one without a choice is wrong."""
    letters = [chosen_letter(text, item.options) for item, (text,) in zip(chosen, answers, strict=True)]
    results = [
        ItemResult(item.id, (item.prompt,), (letter or "",), {HEADLINE: (float(letter == LETTERS[item.right]),)})
        for item, letter in zip(chosen, letters, strict=True)
    ]
    empty = sum(not text.strip() for (text,) in answers)
    return BenchmarkResult(NAME, HEADLINE, tuple(results), n_empty=empty, n_unparsed=letters.count(None) - empty)


def document(item: ChoiceItem) -> Document:
    """Returns the item as the harness' task reads it."""
    return {
        "id": item.id,
        "text": item.sheet,
        "messages": [{"role": "user", "content": item.prompt}],
        "options": list(item.options),
        "answers": [f"{OPENING} {option}" for option in item.options],
        "right": item.right,
    }


def _choices(lm: EngineLM, chosen: Sequence[ChoiceItem], chat: bool) -> list[tuple[int, float]]:
    """Returns for each item the chosen option and whether it is right."""
    from synthetic_instruction_tuner.evaluation import harness as lm_harness

    task = lm_harness.LocalTask(
        f"{NAME}_chat" if chat else NAME,
        [document(item) for item in chosen],
        {"acc": "mean"},
        output_type="multiple_choice",
        doc_to_text="text",
        doc_to_choice="answers" if chat else "options",
        doc_to_target="right",
    )
    picked = []
    for sample in lm_harness.run(lm, task, chat):
        likelihoods = [likelihood for likelihood, _ in sample["filtered_resps"]]
        picked.append((likelihoods.index(max(likelihoods)), float(sample["acc"])))
    return picked


BENCHMARK = Benchmark(
    name=NAME,
    title="Knowledge: four-choice questions, answered by log-likelihood (after MMLU)",
    metrics=(
        Metric("acc", "share of correct choices, asked in plain text", column="MMLU", random_level=CHANCE),
        Metric("acc_chat", "share of correct choices, asked with the chat template", random_level=CHANCE),
    ),
    items=lambda settings: items(settings.items),
    evaluate=evaluate,
    score_saved=score_saved,
    work=lambda settings: Work(settings.items, scored_tokens=len(LETTERS) * QUESTION_TOKENS, forms=2),
)
