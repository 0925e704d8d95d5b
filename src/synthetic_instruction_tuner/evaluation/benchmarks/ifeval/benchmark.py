"""What a run does with IFEval: greedy answers under the chat template; of a base model also in plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config.sections.evaluate import IfevalConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.items import (
    COUNT,
    FAULTY,
    NAME,
    IfevalItem,
    items_digest,
    read_items,
)
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.punkt import find_punkt, punkt_digest
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.scoring import METRICS, score_answers
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability, nothing, place_of
from synthetic_instruction_tuner.evaluation.benchmarks.subsets import fixed_subset

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

PLAIN = ("prompt_strict", "rule_strict")  # of a base model, also measured in plain text


def items(settings: IfevalConfig) -> list[IfevalItem]:
    """Returns the prompts that the settings choose; none where this machine has no files."""
    place = place_of(NAME, settings.data_dir)
    return fixed_subset(read_items(place.folder), settings.items) if place else []


def at_hand(settings: IfevalConfig) -> Availability:
    """Returns what this machine has: prompts and Punkt's parameters; without the latter nothing can be scored.

    Raises:
        UserError: a file is damaged, or the parameters are not whole.
    """
    place = place_of(NAME, settings.data_dir)
    if place is None:
        return nothing(NAME)
    found = read_items(place.folder)
    digest, whole = items_digest(found), len(found) >= COUNT
    try:
        find_punkt(settings.data_dir)
    except UserError as error:
        if "missing" not in error.problem:
            raise
        return Availability(0, place.origin, digest, f"{error.problem} {error.cause}", error.fix)
    missing = "" if whole else f"Only {len(found)} of its {COUNT} prompts are on this machine."
    how = "" if whole else nothing(NAME).how
    count = min(len(found), settings.items)
    return Availability(count, place.origin, digest, missing, how, whole, len(found), COUNT)


def data_key(settings: IfevalConfig) -> str:
    """Returns a hash of the prompts and of Punkt's parameters; empty where there are none."""
    place = place_of(NAME, settings.data_dir)
    if place is None:
        return ""
    return f"{items_digest(read_items(place.folder))}-{punkt_digest(find_punkt(settings.data_dir))}"


def evaluate(lm: BenchmarkLM, settings: IfevalConfig) -> BenchmarkResult:
    """Returns the model's greedy answers, scored; the plain-text form adds two metrics to those of a base model."""
    chosen = items(settings)
    prompts = [item.prompt for item in chosen]
    answers = lm.answers(prompts, settings.max_new_tokens, chat=True)
    result = score_answers(chosen, answers, settings.mode, settings.data_dir)
    if lm.untuned:
        plain = lm.answers(prompts, settings.max_new_tokens, chat=False, counted=False)
        other = score_answers(chosen, plain, settings.mode, settings.data_dir)
        for metric in PLAIN:
            result = result.with_scores(f"{metric}_plain", other.clusters(metric))
    return result


def score_saved(
    chosen: Sequence[IfevalItem], answers: Sequence[Sequence[str]], settings: IfevalConfig
) -> BenchmarkResult:
    """Returns the scores of saved answers."""
    return score_answers(chosen, [text for (text,) in answers], settings.mode, settings.data_dir)


def breakdowns(result: BenchmarkResult) -> Sequence[Breakdown]:
    """Returns the scores by kind of rule, and those on the prompts without known faults."""
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown, by_label, of_items

    faulty = {f"{NAME}-{key}" for key in FAULTY}
    sound = [item.id for item in result.items if item.id not in faulty]
    n = len(result.items) - len(sound)
    known = "prompt that is" if n == 1 else "prompts that are"
    audited = f"Without the {n} {known} known to be faulty" if n else "None of these prompts is known to be faulty"
    return (
        Breakdown(
            "rules", "Rules followed (strict), by kind of rule", "rule_strict", tuple(by_label(result, "rule_strict"))
        ),
        Breakdown("audited", audited, "", tuple(of_items(result, METRICS, sound))),
    )


BENCHMARK = Benchmark(
    name=NAME,
    title="IFEval: prompts with rules that a program checks",
    metrics=(
        Metric("prompt_strict", "share of prompts with every rule followed", column="IFEval", random_level=0.0),
        Metric("prompt_loose", "the same, ignoring openings, closings and emphasis", random_level=0.0),
        Metric("rule_strict", "share of rules that are followed"),
        Metric("rule_loose", "the same, ignoring openings, closings and emphasis"),
        Metric("prompt_strict_plain", "share of prompts with every rule followed, asked without the chat template"),
        Metric("rule_strict_plain", "share of rules that are followed, asked without the chat template"),
    ),
    items=items,
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, 1, settings.max_new_tokens, untuned_answers=1),
    at_hand=at_hand,
    data_key=data_key,
    breakdowns=breakdowns,
    score_saved=score_saved,
    form="The headline asks every variant under the chat template, the form in which tuned models are used: only the "
    "same prompts can be compared item by item. The untuned model is also asked in plain text (prompt_strict_plain): "
    "what it scores more there shows how much of a gain is the format alone.",
)
