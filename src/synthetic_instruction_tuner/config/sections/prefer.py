"""Stage prefer: who answers, who scores, and what makes a pair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from synthetic_instruction_tuner.config.sections.generate import SamplingConfig
from synthetic_instruction_tuner.config.sections.section import Section


class JudgeConfig(Section):
    """A chat model that compares or rates answers, in place of the reward model."""

    mode: Literal["pairwise", "pointwise"] = Field(
        "pairwise",
        description="pairwise: every two answers are compared, in both orders; pointwise: each is rated 1 to 10.",
    )
    criteria: str = Field(
        "helpfulness, correctness, depth, clarity, and whether it does what was asked",
        description="What the judge is told to look at.",
    )
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, max_new_tokens=512), description="Sampling of the judge's verdicts."
    )


class PreferConfig(Section):
    """Preference pairs: models answer again, answers are scored, the best stands against a worse one."""

    pairs: int = Field(600, ge=1, description="Pairs to build; with on_policy for each student.")
    sampling: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of the answers.")
    samples: int = Field(1, ge=1, description="Answers of each model to each instruction.")
    on_policy: Literal["off", "base", "sft"] = Field(
        "off",
        description="off: the responders answer; base, sft: each student answers for its own pairs, untuned or after "
        "SFT (this stage then comes after SFT).",
    )
    scorer: Literal["reward", "judge"] = Field("reward", description="Scores answers: models.reward or models.judge.")
    judge: JudgeConfig = Field(JudgeConfig(), description="How the judge works.")
    rejected: Literal["worst", "mean_minus_2sd"] = Field(
        "worst",
        description="The rejected answer: the worst one, or the one nearest to the mean score minus two standard "
        "deviations of all answers to the prompt.",
    )
    min_margin: float = Field(0.0, ge=0, description="Smallest score difference; pairs at or below it are refused.")
    max_similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Answers whose word-set Jaccard similarity is at least this are near-identical and make no pair.",
    )
    max_length_ratio: float | None = Field(
        None,
        ge=1,
        description="Length-matched pairs: the longer answer has at most so many times the words of the shorter.",
    )
    max_chosen_share: float | None = Field(
        None, gt=0, le=1, description="Largest share of the chosen answers that one model may have; null: no cap."
    )
    truncated: Literal["not_chosen", "not_used", "allowed"] = Field(
        "not_chosen",
        description="Answers that hit the token limit: a pair is refused if its chosen one did; they are not used at "
        "all; or they are only flagged.",
    )
    batch: int = Field(128, ge=1, description="Answers committed to the store at once.")
    reward_batch_size: int = Field(64, ge=1, description="Answers scored at once.")
    reward_max_tokens: int = Field(
        512, ge=8, description="Question and answer together are cut to so many tokens for scoring."
    )
    reward_input: Literal["auto", "pair", "chat"] = Field(
        "auto",
        description="What the reward model reads: a pair of texts, or the conversation in its chat template; auto: "
        "what its tokenizer and architecture say.",
    )
    reward_label: str = Field(
        "",
        description="The output that is the score, by name or number; needed only by models with several. Empty: the "
        "only one, or of two the log-odds of the good one.",
    )

    @model_validator(mode="after")
    def _possible(self) -> PreferConfig:
        if self.on_policy != "off" and self.samples < 2:
            raise ValueError("on_policy needs samples of at least 2: a student is compared with itself")
        if self.on_policy != "off" and self.max_chosen_share not in (None, 1):
            raise ValueError("max_chosen_share cannot be below 1 with on_policy: one model writes every answer")
        return self
