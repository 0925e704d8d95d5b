"""Settings of stage prefer: which models answer, what scores the answers, and which answers make a pair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from synthetic_instruction_tuner.config.sections.generate import SamplingConfig
from synthetic_instruction_tuner.config.sections.section import Section, refuse


class JudgeConfig(Section):
    """LLM as a judge: a chat model compares or rates answers, in place of the reward model."""

    mode: Literal["pairwise", "pointwise"] = Field(
        "pairwise",
        description="pairwise: every two answers are compared, in both orders; pointwise: each is rated from 1 to 10.",
    )
    criteria: str = Field(
        "helpfulness, correctness, depth, clarity, and whether it does what was asked",
        description="The criteria in the judge's prompt.",
    )
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, max_new_tokens=512), description="Sampling of the judge's replies."
    )


class PreferConfig(Section):
    """Preference pairs: models answer the instructions, the answers are scored, the best is paired with a worse one."""

    pairs: int = Field(600, ge=1, description="Pairs to build; with on_policy, for each student.")
    sampling: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of the answers.")
    samples: int = Field(1, ge=1, le=1000, description="Answers per model and instruction.")
    on_policy: Literal["off", "base", "sft"] = Field(
        "off",
        description="off: the responders answer; base: each untuned student answers for its own pairs; sft: each "
        "student does so after SFT (this stage then runs after stage sft).",
    )
    scorer: Literal["reward", "judge"] = Field(
        "reward", description="What scores the answers: models.reward or models.judge."
    )
    judge: JudgeConfig = Field(JudgeConfig(), description="Settings of the judge.")
    rejected: Literal["worst", "mean_minus_2sd"] = Field(
        "worst",
        description="The rejected answer: the worst one, or the one nearest to two standard deviations below the mean "
        "score of all answers to the prompt.",
    )
    min_margin: float = Field(0.0, ge=0, description="A pair's score difference must be larger than this.")
    max_similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Answers with at least this Jaccard similarity of their word sets are near-identical: no pair.",
    )
    max_length_ratio: float | None = Field(
        None,
        ge=1,
        description="Length-matched pairs: the longer answer has at most this many times the words of the shorter one; "
        "null: no limit.",
    )
    max_chosen_share: float | None = Field(
        None, gt=0, le=1, description="Largest share of the chosen answers from one model; null: no limit."
    )
    truncated: Literal["not_chosen", "not_used", "allowed"] = Field(
        "not_chosen",
        description="Answers that hit the token limit: not_chosen: a record is skipped if its best answer did; "
        "not_used: they are ignored; allowed: they are only flagged.",
    )
    batch: int = Field(128, ge=1, description="Answers written and committed to the store at once.")
    reward_batch_size: int = Field(64, ge=1, description="Answers scored at once.")
    reward_max_tokens: int = Field(
        512, ge=8, description="Question and answer together are cut to this many tokens for scoring."
    )
    reward_input: Literal["auto", "pair", "chat"] = Field(
        "auto",
        description="What the reward model reads: a pair of texts, or the conversation in its chat template; auto: its "
        "tokenizer and architecture decide.",
    )
    reward_label: str = Field(
        "",
        description="The reward model's output that is the score, by name or number. Empty: the only output, or the "
        "log-odds of the good one of two.",
    )

    @model_validator(mode="after")
    def _possible(self) -> PreferConfig:
        own = self.on_policy != "off"
        refuse(
            "on_policy needs samples of at least 2: a student is compared with itself"
            if own and self.samples < 2
            else None,
            "max_chosen_share cannot be below 1 with on_policy: one model writes every answer"
            if own and self.max_chosen_share not in (None, 1)
            else None,
        )
        return self
