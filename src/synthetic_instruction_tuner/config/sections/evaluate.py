"""Stage evaluate: a section of settings for each benchmark, and the one list of the benchmarks' names.

A benchmark NAME has a field of that name here and the module ``evaluation/benchmarks/NAME.py``; nothing else knows it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from synthetic_instruction_tuner.config.sections.section import Section

BENCHMARKS: tuple[str, ...] = ("nano_ifeval", "nano_mmlu", "nano_mt")
"""Every benchmark, in the order in which a run evaluates and tables show them."""


MOST_ITEMS = 10_000  # with so many, a share has a standard error of half a percentage point at most


class BenchmarkConfig(Section):
    """Settings that every benchmark has."""

    items: int = Field(
        240, ge=1, le=MOST_ITEMS, description="Number of items to evaluate on; a smaller number takes the first ones."
    )


class NanoIfevalConfig(BenchmarkConfig):
    """Instruction following in the nano models' world."""

    max_new_tokens: int = Field(160, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")


class NanoMmluConfig(BenchmarkConfig):
    """Four-choice questions in the nano models' world."""


class NanoMtConfig(BenchmarkConfig):
    """Two-turn conversations in the nano models' world."""

    temperature: float = Field(0.7, ge=0, le=100, description="Sampling temperature of the answers.")
    max_new_tokens: int = Field(160, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")


class EvaluateConfig(Section):
    """The untuned student and each tuned variant on the same items."""

    benchmarks: tuple[Literal[BENCHMARKS], ...] = Field(  # type: ignore[valid-type]  # mypy wants the names spelled out
        BENCHMARKS, description="Benchmarks to run, in order.", min_length=1
    )
    nano_ifeval: NanoIfevalConfig = Field(NanoIfevalConfig(), description="Benchmark nano_ifeval.")
    nano_mmlu: NanoMmluConfig = Field(NanoMmluConfig(), description="Benchmark nano_mmlu.")
    nano_mt: NanoMtConfig = Field(NanoMtConfig(), description="Benchmark nano_mt.")

    @field_validator("benchmarks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a benchmark is named twice")
        return value

    def settings(self, benchmark: str) -> BenchmarkConfig:
        """Returns the benchmark's own settings."""
        found: BenchmarkConfig = getattr(self, benchmark)
        return found

    def limited(self, most: int) -> EvaluateConfig:
        """Returns the settings with at most `most` items of each benchmark."""
        sections = {name: self.settings(name) for name in BENCHMARKS}
        return self.model_copy(
            update={name: own.model_copy(update={"items": min(most, own.items)}) for name, own in sections.items()}
        )
