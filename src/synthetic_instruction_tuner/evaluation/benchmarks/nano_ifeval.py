"""Instruction following: requests for short texts under rules that a program can check, scored by IFEval's own code.

After IFEval (Zhou et al. 2023, arXiv:2311.07911), in the nano models' world and from its held-out split. The rules are
IFEval's; "at least N sentences" is left out because its check needs data that NLTK would download. The headline is
the prompt-level strict accuracy: the share of prompts with every rule followed. A right text can fail: the
rules on letter case ask a language detector, which takes about one short upper-case text in fifty for another language.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config.sections.evaluate import NanoIfevalConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.scoring import lm_eval_scorer
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.nano.world.families import formats

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.harness import Document, EngineLM

NAME, HEADLINE = "nano_ifeval", "prompt_strict"
SEED = 541  # of the items, the same in every run
METRICS = {
    "prompt_strict": "prompt_level_strict_acc",
    "prompt_loose": "prompt_level_loose_acc",
    "rule_strict": "inst_level_strict_acc",
    "rule_loose": "inst_level_loose_acc",
}  # our names and IFEval's
FAMILIES = tuple(f for f in formats.FAMILIES if formats.SENTENCES not in f.constraints)


@dataclass(frozen=True, slots=True)
class RuleItem:
    """A request with its rules.

    Attributes:
        id: the item's name.
        prompt: the user's turn.
        rules: IFEval's rule ids with their arguments.
        reference: an answer that follows the rules.
    """

    id: str
    prompt: str
    rules: tuple[tuple[str, dict[str, Any]], ...]
    reference: str


def items(count: int, seed: int = SEED) -> list[RuleItem]:
    """Returns `count` different items of the held-out split, all families alike; fewer are a prefix of more."""
    rng, found, seen = Random(f"{NAME}-{seed}"), list[RuleItem](), set[str]()
    while len(found) < count:
        family = FAMILIES[len(found) % len(FAMILIES)]
        task = family.draw(rng, "eval")
        parsed = family.parse(task.instruction)
        if parsed is None or task.instruction in seen:
            continue
        seen.add(task.instruction)
        rules = tuple(family.ifeval(parsed[0]))
        found.append(RuleItem(f"{NAME}-{len(found):04d}", task.instruction, rules, task.response))
    return found


def evaluate(lm: EngineLM, settings: NanoIfevalConfig) -> BenchmarkResult:
    """Returns the model's greedy answers to the items, with their scores."""
    from synthetic_instruction_tuner.evaluation import harness as lm_harness

    chosen = items(settings.items)
    by_rule = lm_eval_scorer().agg_inst_level_acc
    metrics = {name: by_rule if ours.startswith("rule") else "mean" for ours, name in METRICS.items()}
    documents, longest = [document(item) for item in chosen], settings.max_new_tokens
    task = lm_harness.generation_task(NAME, documents, metrics, score, temperature=0.0, max_gen_toks=longest)
    results = []
    for item, sample in zip(chosen, lm_harness.run(lm, task, chat=True), strict=True):
        scores = {ours: _observations(sample[theirs]) for ours, theirs in METRICS.items()}
        results.append(ItemResult(item.id, (item.prompt,), tuple(sample["filtered_resps"]), scores))
    return BenchmarkResult(NAME, HEADLINE, tuple(results))


def score_saved(
    chosen: Sequence[RuleItem], answers: Sequence[Sequence[str]], settings: NanoIfevalConfig
) -> BenchmarkResult:
    """Returns the scores of saved answers."""
    results = []
    for item, texts in zip(chosen, answers, strict=True):
        found = score(document(item), list(texts))
        scores = {ours: _observations(found[theirs]) for ours, theirs in METRICS.items()}
        results.append(ItemResult(item.id, (item.prompt,), tuple(texts), scores))
    return BenchmarkResult(NAME, HEADLINE, tuple(results), n_empty=sum(not text.strip() for (text,) in answers))


def document(item: RuleItem) -> Document:
    """Returns the item in the form that IFEval's scorer reads."""
    return {
        "id": item.id,
        "key": item.id,
        "prompt": item.prompt,
        "messages": [{"role": "user", "content": item.prompt}],
        "instruction_id_list": [rule for rule, _ in item.rules],
        "kwargs": [json.loads(json.dumps(arguments)) for _, arguments in item.rules],
    }


def score(document: Document, answers: list[str]) -> dict[str, Any]:
    """Returns IFEval's verdicts on one answer by metric: a bool, or a list of bools at rule level."""
    verdicts: dict[str, Any] = lm_eval_scorer().process_results(document, answers)
    return verdicts


def _observations(verdict: bool | list[bool]) -> tuple[float, ...]:
    return tuple(float(v) for v in (verdict if isinstance(verdict, list) else [verdict]))


BENCHMARK = Benchmark(
    name=NAME,
    title="Instruction following: short texts under rules that a program checks (after IFEval)",
    metrics=(
        Metric("prompt_strict", "share of prompts with every rule followed", column="IFEval"),
        Metric("prompt_loose", "the same, ignoring openings, closings and emphasis"),
        Metric("rule_strict", "share of rules that are followed"),
        Metric("rule_loose", "the same, ignoring openings, closings and emphasis"),
    ),
    items=lambda settings: items(settings.items),
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, answers=1, max_new_tokens=settings.max_new_tokens),
    score_saved=score_saved,
)
