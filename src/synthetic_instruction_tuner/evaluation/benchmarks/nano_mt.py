"""Conversation: two turns, sampled, scored by the reward model and by the world's checkers.

After MT-Bench (Zheng et al. 2023, arXiv:2306.05685): a task from the held-out split, then a follow-up about the answer
that the model itself gave. The harness makes all of a task's requests before it has any answer, so each turn is a task
of its own. Both turns of a conversation are one cluster.

The headline is the reward model's mean score over all answers. Where that model has also picked the preference pairs,
a gain from DPO is partly built in: ``right`` and ``right_and_clean`` come from the checkers, which do not ask it. The
embedded reward model was trained on these checkers' verdicts, so the two are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config.sections.evaluate import NanoMtConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.rewards import REWARD, with_rewards
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.nano.world import checking, mixture
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.harness import Document, EngineLM

NAME, HEADLINE = "nano_mt", REWARD
SEED = 80  # of the items and of the answers' sampling, the same in every run
METRICS = ("right", "clean", "right_and_clean")  # the checkers'
TURNS = 2


@dataclass(frozen=True, slots=True)
class TalkItem:
    """Two user turns; `references` are right answers to them, the second one following on the first."""

    id: str
    prompts: tuple[str, str]
    references: tuple[str, str]

    @property
    def prompt(self) -> str:
        """The first turn. The second does not count as an item's text: what it asks depends on the answer."""
        return self.prompts[0]


def items(count: int, seed: int = SEED) -> list[TalkItem]:
    """Returns `count` different conversations of the held-out split; fewer are a prefix of more."""
    rng, found = Random(f"{NAME}-{seed}"), dict[tuple[str, str], TalkItem]()
    while len(found) < count:
        talk = mixture.sample_item(rng, "eval", flaws=False, marks=0.0, system=0.0, multi_turn=1.0)
        first, first_answer, second, second_answer = (message.content for message in talk.messages)
        item = TalkItem(f"{NAME}-{len(found):04d}", (first, second), (first_answer, second_answer))
        found.setdefault(item.prompts, item)
    return list(found.values())


def evaluate(lm: EngineLM, settings: NanoMtConfig) -> BenchmarkResult:
    """Returns the model's answers, scored by the checkers; `with_rewards` puts the headline beside them."""
    from synthetic_instruction_tuner.evaluation import harness as lm_harness

    chosen = items(settings.items)
    results = [ItemResult(item.id, item.prompts, (), {metric: () for metric in METRICS}) for item in chosen]
    for turn in range(TURNS):
        task = lm_harness.generation_task(
            f"{NAME}_turn_{turn + 1}",
            [document(result, turn, number) for number, result in enumerate(results)],
            dict.fromkeys(METRICS, "mean"),
            score,
            temperature=settings.temperature,
            max_gen_toks=settings.max_new_tokens,
        )
        samples = lm_harness.run(lm, task, chat=True)
        results = [_longer(result, sample) for result, sample in zip(results, samples, strict=True)]
    return BenchmarkResult(NAME, HEADLINE, tuple(results))


def score_saved(
    chosen: Sequence[TalkItem], answers: Sequence[Sequence[str]], settings: NanoMtConfig
) -> BenchmarkResult:
    """Returns the checkers' scores of saved answers; the headline is ``right``, since no reward model is asked."""
    results = []
    for item, texts in zip(chosen, answers, strict=True):
        talk = ItemResult(item.id, item.prompts, tuple(texts), {})
        found = [score(document(talk, turn, 0), [texts[turn]]) for turn in range(TURNS)]
        results.append(replace(talk, scores={metric: tuple(turn[metric] for turn in found) for metric in METRICS}))
    empty = sum(not text.strip() for texts in answers for text in texts)
    return BenchmarkResult(NAME, "right", tuple(results), n_empty=empty)


def document(result: ItemResult, turn: int, number: int) -> Document:
    """Returns the conversation so far, as the harness' task reads it."""
    messages = [message.as_dict() for message in result.conversation(turn)]
    return {"id": f"{result.id}-{turn + 1}", "messages": messages, "seed": 2 * (SEED * 1_000_000 + number) + turn}


def score(document: Document, answers: list[str]) -> dict[str, float]:
    """Returns the checkers' verdict on the answer to a conversation, by metric.

    ``clean`` is the absence of sloppy remarks alone, which nonsense has too; ``right_and_clean`` asks for both.
    """
    messages = [Message(turn["role"], turn["content"]) for turn in document["messages"]]
    if not all(message.content.strip() for message in messages):  # nothing was said that one could ask about
        return {"right": 0.0, "clean": 1.0, "right_and_clean": 0.0}
    verdict = checking.check([*messages, Message("assistant", answers[0])])
    right, clean = (verdict.right, verdict.clean) if verdict else (False, True)
    return {"right": float(right), "clean": float(clean), "right_and_clean": float(right and clean)}


def _longer(result: ItemResult, sample: Document) -> ItemResult:
    scores = {metric: (*seen, float(sample[metric])) for metric, seen in result.scores.items()}
    return ItemResult(result.id, result.prompts, (*result.outputs, sample["filtered_resps"][0]), scores)


BENCHMARK = Benchmark(
    name=NAME,
    title="Conversation: two turns, the second about the model's own answer (after MT-Bench)",
    metrics=(
        Metric("reward", "mean score of the reward model over both turns, a logit", column="MT reward", span=None),
        Metric("right", "share of answers that the checkers accept as right", column="MT right", random_level=0.0),
        Metric("clean", "share of answers without flaws in style, whatever they say", random_level=1.0),
        Metric("right_and_clean", "share of answers that are both", random_level=0.0),
    ),
    items=lambda settings: items(settings.items),
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, answers=TURNS, max_new_tokens=settings.max_new_tokens),
    add_rewards=with_rewards,
    score_saved=score_saved,
)
