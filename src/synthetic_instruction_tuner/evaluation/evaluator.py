"""Runs the benchmarks on a variant of a student: the same items, prompts and seeds for all variants."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Done, Engine
    from synthetic_instruction_tuner.evaluation.benchmark_lm import Memory


class Evaluator:
    """Runs one benchmark at a time.

    Args:
        config: which benchmarks there are, and their settings.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config

    def evaluate(
        self,
        name: str,
        engine: Engine,
        template: ChatTemplate,
        tokenizer: Any,
        *,
        untuned: bool = False,
        memory: Memory | None = None,
        done: Done | None = None,
    ) -> BenchmarkResult:
        """Returns what the model does on a benchmark; all items of a turn go to the engine in one call.

        Metrics that need a reward model are not among it: `Benchmark.add_rewards` adds them later, when the engine is
        closed and its memory is free.

        Args:
            name: one of the benchmarks.
            engine: runs the variant.
            template: the student's chat template.
            tokenizer: its Transformers tokenizer.
            untuned: whether it is a base model, which some benchmarks also ask without the chat template.
            memory: keeps answers of an interrupted benchmark.
            done: is called with the number of answers that have just come.

        Raises:
            KeyError: there is no such benchmark.
        """
        chosen, began = benchmark(name), time.perf_counter()
        from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM

        lm = BenchmarkLM(engine, template, tokenizer, untuned=untuned, memory=memory, done=done)
        result = chosen.evaluate(lm, self.config.settings(name))
        spent = time.perf_counter() - began
        return replace(
            result,
            n_truncated=lm.n_truncated + result.n_truncated,
            n_empty=max(lm.n_empty, result.n_empty),
            seconds=spent,
        )

    def seen(self, texts: Iterable[str]) -> dict[str, set[str]]:
        """Returns by benchmark the ids of the items that occur in training texts, whole but for polite words."""
        from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import usable
        from synthetic_instruction_tuner.evaluation.contamination import ItemSearch

        names, read = usable(self.config), list(texts)
        return {name: ItemSearch(benchmark(name).items(self.config.settings(name))).found(read) for name in names}

    def contamination(self, texts: Iterable[str]) -> dict[str, int]:
        """Returns by benchmark how many items `seen` finds."""
        return {name: len(found) for name, found in self.seen(texts).items()}
