"""Runs the benchmarks on a variant of a student: the same items, prompts and seeds for all variants."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.evaluation.benchmarks import nano_ifeval, nano_mmlu, nano_mt
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine

HEADLINES = {module.NAME: module.HEADLINE for module in (nano_ifeval, nano_mmlu, nano_mt)}


class Evaluator:
    """Runs one benchmark at a time.

    Args:
        config: which benchmarks, how many items, and how answers are sampled.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config

    def evaluate(
        self,
        benchmark: str,
        engine: Engine,
        template: ChatTemplate,
        tokenizer: Any,
        reward_model: nano_mt.Scorer | None = None,
    ) -> BenchmarkResult:
        """Returns what the model does on a benchmark; all items of a turn go to the engine in one call.

        Args:
            benchmark: one of `config.benchmarks`.
            engine: runs the variant.
            template: the student's chat template.
            tokenizer: its Transformers tokenizer.
            reward_model: scores the answers of nano_mt; where None, call `nano_mt.add_rewards` later, for example when
                the engine is closed and its memory is free.

        Raises:
            KeyError: there is no such benchmark.
            RunError: the reward model gave no finite score.
        """
        from synthetic_instruction_tuner.evaluation.harness import EngineLM

        config, began = self.config, time.perf_counter()
        lm = EngineLM(engine, template, tokenizer, config.max_new_tokens)
        if benchmark == nano_ifeval.NAME:
            result = nano_ifeval.evaluate(lm, nano_ifeval.items(config.ifeval_items), config.max_new_tokens)
        elif benchmark == nano_mmlu.NAME:
            result = nano_mmlu.evaluate(lm, nano_mmlu.items(config.mmlu_items))
        elif benchmark == nano_mt.NAME:
            chosen = nano_mt.items(config.mt_items)
            result = nano_mt.evaluate(lm, chosen, config.max_new_tokens, config.mt_temperature)
            result = nano_mt.add_rewards(result, reward_model) if reward_model else result
        else:
            raise KeyError(benchmark)
        spent = time.perf_counter() - began
        return replace(result, n_truncated=lm.n_truncated, n_empty=lm.n_empty, seconds=spent)

    def contamination(self, instructions: Iterable[str]) -> dict[str, int]:
        """Returns by benchmark how many items have a user turn that occurs, word for word, among the instructions.

        Follow-up questions of nano_mt do not count: there are few of them, and what they ask depends on the answer.
        """
        seen = set(map(_normal, instructions))
        return {name: sum(_normal(prompt) in seen for prompt in self._prompts(name)) for name in self.config.benchmarks}

    def _prompts(self, benchmark: str) -> list[str]:
        if benchmark == nano_ifeval.NAME:
            return [item.prompt for item in nano_ifeval.items(self.config.ifeval_items)]
        if benchmark == nano_mmlu.NAME:
            return [item.prompt for item in nano_mmlu.items(self.config.mmlu_items)]
        return [item.prompts[0] for item in nano_mt.items(self.config.mt_items)]


def _normal(text: str) -> str:
    """Returns the text in lower case with single spaces."""
    return " ".join(text.lower().split())
