"""Settings of the benchmark MT-Bench and of the judge that rates its answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from synthetic_instruction_tuner.config.sections.models import ModelConfig
from synthetic_instruction_tuner.config.sections.section import Section, refuse


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
    pairwise: bool = Field(
        False,
        description="Beside rating each answer, compare each tuned variant's answers with those of the variant that it "
        "started from, in both orders.",
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

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that verdicts depend on; how a judge's server is reached does not matter."""
        found = self.model_dump(mode="json", exclude={"model": {"url", "api_key_env", "parameters", "license"}})
        return found | {"served": self.model is not None and self.model.url is not None}
