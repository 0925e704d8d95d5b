"""A model's answers to MT-Bench: two turns, the second with the model's own first answer before it.

Sampling is as published: warm where texts are written or a role is played, nearly greedy for knowledge, greedy where
there is a right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS, Question
from synthetic_instruction_tuner.evaluation.results import ItemResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}


def answer_questions(
    generate: Callable[[Sequence[Request]], Sequence[Completion]],
    template: ChatTemplate,
    questions: Sequence[Question],
    max_new_tokens: int,
) -> tuple[tuple[ItemResult, ...], int, int]:
    """Returns the answers, how many of them hit the token limit, and how many are empty.

    All questions of a turn go to the model in one call. Each answer has a seed of its own, the same for every model.
    """
    items = [ItemResult(question.id, question.turns, (), {}, (question.category,)) for question in questions]
    cut = 0
    for turn in range(TURNS):
        prompts = [template.prompt_ids(item.conversation(turn)) for item in items]
        requests = [
            Request(
                prompt_ids=tuple(prompt),
                seed=TURNS * question.number + turn,
                max_new_tokens=max_new_tokens,
                stop_ids=tuple(template.stop_ids),
                temperature=TEMPERATURES[question.category],
            )
            for prompt, question in zip(prompts, questions, strict=True)
        ]
        completions = generate(requests)
        cut += sum(completion.finish_reason == "length" for completion in completions)
        texts = [template.decode(c.token_ids, prompt) for c, prompt in zip(completions, prompts, strict=True)]
        items = [replace(i, outputs=(*i.outputs, text)) for i, text in zip(items, texts, strict=True)]
    empty = sum(not output.strip() for item in items for output in item.outputs)
    return tuple(items), cut, empty
