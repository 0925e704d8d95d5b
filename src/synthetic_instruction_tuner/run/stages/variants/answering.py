"""The variants' answers to the benchmarks: student by student, each kept as it comes, with progress.

A student's base model is loaded once; its adapters are swapped in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.models.adapters import is_soft_prompt
from synthetic_instruction_tuner.reporting.formatting import rate
from synthetic_instruction_tuner.run.costs.counts import benchmark_work, evaluation_step
from synthetic_instruction_tuner.run.progress import Advance
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.stages.variants.keys import unit_of
from synthetic_instruction_tuner.run.stages.variants.variant import Variant
from synthetic_instruction_tuner.run.store.kept_answers import KeptAnswers, kept_count

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine


def answer_missing(ctx: Context, chosen: Sequence[Variant], names: Sequence[str]) -> None:
    """Lets every variant answer the benchmarks that it has not answered yet."""
    todo = [(v, name) for v in chosen for name in names if not ctx.store.batch_numbers(unit_of(ctx, v, name))]
    labels = {evaluation_step(v.student.name, v.name, name) for v in chosen for name in names}
    ctx.display.forecast.skip(labels - {evaluation_step(v.student.name, v.name, name) for v, name in todo})
    answers = _Answers(ctx, len(labels), len(todo))
    for _, own in groupby(todo, key=lambda pair: pair[0].student):
        _answer_student(ctx, list(own), answers)


def _answer_student(ctx: Context, todo: Sequence[tuple[Variant, str]], answers: _Answers) -> None:
    """Lets the variants of one student answer what they have not answered yet; the base model is loaded once."""
    by_variant = {v: [name for other, name in todo if other == v] for v, _ in todo}
    # Soft prompts come last: for them vLLM must give its memory back.
    ordered = sorted(by_variant, key=lambda v: v.adapter is not None and is_soft_prompt(v.adapter))
    said = False
    with ctx.variants(ordered[0].student, [variant.adapter for variant in ordered]) as opened:
        for variant in ordered:
            with opened(variant.adapter) as (engine, template):
                if (slow := engine.capabilities.slow) and not said:
                    ctx.display.say(f"{variant.student.name}: {slow}")
                    said = True
                for name in by_variant[variant]:
                    answers.give(variant, name, unit_of(ctx, variant, name), engine, template)


class _Answers:
    """Asks for the answers of one variant to one benchmark at a time, keeps them as they come, and shows progress.

    Args:
        ctx: the stage's.
        total: variants times benchmarks.
        left: how many of them are left.
    """

    def __init__(self, ctx: Context, total: int, left: int) -> None:
        self._ctx, self._total, self._done = ctx, total, total - left

    def give(self, variant: Variant, name: str, unit: str, engine: Engine, template: ChatTemplate) -> None:
        """Lets a variant answer a benchmark, and commits the result."""
        from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

        ctx, untuned, settings = self._ctx, variant.name == BASE, self._ctx.config.evaluate
        kept, total = KeptAnswers(ctx.store, unit), benchmark_work(name, settings).asked(untuned)
        before = min(kept_count(ctx.store, unit), total)
        self._done += 1
        with ctx.display.task(
            evaluation_step(variant.student.name, variant.name, name), total, "answers", before
        ) as advance:
            told = _Told(advance, total, before, f"benchmark {self._done} of {self._total}")
            result = Evaluator(settings).evaluate(
                name, engine, template, template.tokenizer, untuned=untuned, memory=kept, done=told
            )
            ctx.commit(unit, 0, [result.to_json() | {"seconds": result.seconds}])
            kept.forget()
            told(total)


class _Told:
    """Passes on how many answers have come: those that were there before do not count again, nor more than all.

    Args:
        advance: shows it.
        total: all that are expected.
        before: those that an earlier attempt has kept.
        note: what else is said.
    """

    def __init__(self, advance: Advance, total: int, before: int, note: str) -> None:
        self._advance, self._left, self._before, self._note = advance, total - before, before, note
        self._began, self._came = time.monotonic(), 0

    def __call__(self, n: int) -> None:
        """Notes that `n` answers more are there."""
        again = min(n, self._before)
        n, self._before = min(n - again, self._left), self._before - again
        if n:
            self._left, self._came = self._left - n, self._came + n
            seconds = time.monotonic() - self._began
            pace = f"{rate(self._came / seconds)}, " if seconds > 0 else ""
            self._advance(n, f"{pace}{self._note}")
