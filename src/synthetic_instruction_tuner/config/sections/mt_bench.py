"""Settings of the benchmark MT-Bench and of the judge that rates its answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from synthetic_instruction_tuner.config.sections.models import ModelConfig
from synthetic_instruction_tuner.config.sections.section import Section, refuse

QUESTIONS = 80  # of the published set


class MtJudgeConfig(Section):
    """The judge of MT-Bench: a chat model that rates or compares answers."""

    model: ModelConfig | None = Field(
        None,
        description="The judge: a local folder, a Hub id, or, with a url, its name on an OpenAI-compatible server. "
        "Without one, mt_bench is not run.",
    )
    api: Literal["chat", "completions"] = Field(
        "chat",
        description="How a judge with a url is asked: chat sends messages; completions sends tokens, for which path "
        "must name its tokenizer.",
    )
    grading: Literal["single", "pairwise", "both"] = Field(
        "single",
        description="single: each answer is rated from 1 to 10; pairwise: each tuned variant is compared with the one "
        "it started from, in both orders.",
    )
    max_new_tokens: int = Field(2048, ge=16, le=1_000_000, description="Maximum length of a judge's reply, in tokens.")
    references: Literal["corrected", "original"] = Field(
        "corrected",
        description="Reference answers that the judge sees on reasoning, math and coding; of the original ones, 13 of "
        "30 are wrong.",
    )
    allow_related_judge: bool = Field(
        False,
        description="Accept a judge of the same family as a student, the generator or what scored the pairs; every "
        "table then says so.",
    )

    @model_validator(mode="after")
    def _possible(self) -> MtJudgeConfig:
        no_server = self.model is None or self.model.url is None
        refuse("api=completions needs the judge's url" if self.api == "completions" and no_server else None)
        return self

    @property
    def rates(self) -> bool:
        """Whether single answers are rated."""
        return self.grading in ("single", "both")

    @property
    def compares(self) -> bool:
        """Whether answers of two variants are compared."""
        return self.grading in ("pairwise", "both")
