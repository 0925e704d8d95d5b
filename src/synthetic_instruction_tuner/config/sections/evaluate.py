"""Stage evaluate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from synthetic_instruction_tuner.config.sections.section import Section


class EvaluateConfig(Section):
    """Base, SFT, prompt tuning and DPO of each student on the same items."""

    benchmarks: tuple[Literal["nano_ifeval", "nano_mmlu", "nano_mt"], ...] = Field(
        ("nano_ifeval", "nano_mmlu", "nano_mt"), description="Benchmarks to run, in order.", min_length=1
    )
    ifeval_items: int = Field(240, ge=1, description="Items of nano_ifeval.")
    mmlu_items: int = Field(240, ge=1, description="Items of nano_mmlu.")
    mt_items: int = Field(240, ge=1, description="Two-turn conversations of nano_mt.")
    mt_temperature: float = Field(0.7, ge=0, description="Sampling temperature of nano_mt's answers.")
    max_new_tokens: int = Field(160, ge=1, description="Longest generated answer, in tokens.")

    @field_validator("benchmarks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a benchmark is named twice")
        return value
