"""Every setting of a run, one class per stage, every field documented.

These classes are what the library's own classes are constructed from; how files, profiles and command-line overrides
become one `Config` is in `config`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A part of the configuration: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Section):
    """One model: a local folder, a Hub id, or ``nano:NAME`` for an embedded model."""

    path: str = Field(description="Local folder, Hugging Face Hub id, or nano:NAME for a model inside the package.")
    name: str = Field("", description="Short name used in files and tables; the path's last part when empty.")
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit).")
    trust_remote_code: bool = Field(False, description="Run code that the model's repository brings along.")
    chat_template: str | None = Field(
        None,
        description="A .jinja file or a model whose chat template is used; for base models without one.",
    )
    parameters: float | None = Field(
        None, gt=0, description="Number of weights, for planning where the files are not at hand."
    )
    license: str | None = Field(
        None, description="License, as the Hub names it, for the data card; else what the model's own card says."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _named(self) -> ModelConfig:
        if not self.name:
            object.__setattr__(self, "name", self.path.rstrip("/").split("/")[-1].removeprefix("nano:"))
        if self.name in (".", "..") or set(self.name) & set("/\\:\0") or not self.name:
            raise ValueError(f"the name {self.name!r} cannot be a folder's name")
        return self


class ModelsConfig(Section):
    """The models of a run."""

    generator: ModelConfig = Field(description="Aligned chat model that writes instructions and answers (Magpie).")
    responders: tuple[ModelConfig, ...] = Field(
        description="Models whose answers become preference pairs.", min_length=1
    )
    reward: ModelConfig = Field(description="Sequence-classification reward model that scores answers.")
    judge: ModelConfig | None = Field(
        None, description="Chat model that judges answers instead, with prefer.scorer=judge."
    )
    students: tuple[ModelConfig, ...] = Field(description="Base models to tune.", min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> ModelsConfig:
        for role in ("responders", "students"):
            names = [m.name for m in getattr(self, role)]
            if len(set(names)) < len(names):
                raise ValueError(f"{role} must have distinct names, got {', '.join(names)}")
        return self


class EngineConfig(Section):
    """What runs models for text."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; auto takes a GPU if there is one."
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="Weights' type; auto: bfloat16 from compute capability 8.0, float16 below, float32 on a CPU.",
    )
    batch_size: int = Field(64, ge=1, description="Sequences decoded at once.")
    threads: int | None = Field(None, ge=1, description="CPU threads; all cores when not set.")


class SamplingConfig(Section):
    """How tokens are drawn."""

    temperature: float = Field(1.0, ge=0, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1 samples from the whole distribution.")
    max_new_tokens: int = Field(512, ge=1, description="Longest text, in tokens.")


class DomainConfig(Section):
    """A domain: a system prompt that steers what the generator asks about."""

    system: str = Field(description="The system prompt.")
    share: float = Field(1.0, gt=0, description="Relative share of the records.")


class GenerateConfig(Section):
    """Magpie: a chat model writes instructions, then answers them."""

    count: int = Field(1500, ge=1, description="Instruction-response pairs to write.")
    instruction: SamplingConfig = Field(SamplingConfig(), description="Sampling of instructions.")
    response: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of responses.")
    batch: int = Field(
        128, ge=1, description="Pairs committed to the store at once; at most one batch is lost on a crash."
    )
    domains: dict[str, DomainConfig] = Field(
        default_factory=dict, description="Domains by name; none: the model's own mix, without a system prompt."
    )
    undirected_share: float = Field(
        1.0, ge=0, description="Share of records without a domain, relative to the domains' shares."
    )


class FilterConfig(Section):
    """The plan's five quality rules."""

    min_words: int = Field(20, ge=0, description="Shortest response, in words.")
    max_words: int = Field(500, ge=1, description="Longest response, in words.")
    max_word_repeats: int = Field(3, ge=1, description="A word may stand so many times in a row.")
    max_line_repeats: int = Field(3, ge=1, description="A line may stand so many times in a row.")
    similarity: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Instructions whose word-set Jaccard similarity to a kept one is at least this are dropped.",
    )
    refusals: tuple[str, ...] = Field(
        ("I'm an AI", "I cannot", "I don't have", "As an AI", "I'm not able"),
        description="A response with one of these phrases is dropped; straight and curly apostrophes are the same.",
    )
    language: str = Field("en", description="Wanted language, as an ISO 639-1 code; empty switches the rule off.")
    language_confidence: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Drop for its language only when the detector is at least this sure of another one.",
    )
    keep: int | None = Field(1000, ge=1, description="Records handed on, in order; all that pass when null.")

    @model_validator(mode="after")
    def _ordered(self) -> FilterConfig:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is larger than max_words ({self.max_words})")
        return self


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


class TrainerConfig(Section):
    """What the three training methods share."""

    learning_rate: float = Field(2e-4, gt=0, description="Peak learning rate.")
    epochs: float = Field(3.0, gt=0, description="Passes over the data.")
    batch_size: int = Field(4, ge=1, description="Examples per device and step.")
    accumulation: int = Field(4, ge=1, description="Gradient accumulation steps; times batch_size is the global batch.")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="Share of the steps with rising learning rate.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "cosine", description="Learning-rate schedule after warm-up."
    )
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    max_length: int = Field(1024, ge=16, description="Longest example, in tokens; longer ones are cut at the end.")
    checkpoint_steps: int = Field(25, ge=1, description="Steps between checkpoints; so many are lost on a crash.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations to save memory.")
    log_steps: int = Field(5, ge=1, description="Steps between logged losses.")


class LoraShape(Section):
    """The LoRA adapter."""

    r: int = Field(8, ge=1, description="Rank.")
    alpha: int = Field(16, ge=1, description="Scale; the update is multiplied by alpha / r.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: tuple[str, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        description="Linear modules adapted.",
    )


class SftConfig(TrainerConfig):
    """Supervised fine-tuning with LoRA; loss on the answers only."""

    lora: LoraShape = Field(LoraShape(), description="The adapter.")


class PromptTuningConfig(TrainerConfig):
    """Prompt tuning: only virtual tokens in front of the prompt are trained."""

    virtual_tokens: int = Field(20, ge=1, description="Length of the soft prompt.")
    init_text: str = Field(
        "", description="Text whose embeddings start the soft prompt; random vocabulary rows when empty."
    )
    students: Literal["first", "all", "none"] = Field("first", description="Which students are prompt-tuned.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")


class DpoConfig(TrainerConfig):
    """Direct preference optimization from each SFT adapter; the reference is the SFT policy."""

    beta: float = Field(0.1, gt=0, description="Strength of the pull to the reference.")
    learning_rate: float = Field(5e-6, gt=0, description="Peak learning rate.")
    epochs: float = Field(1.0, gt=0, description="Passes over the pairs.")


class TrainConfig(Section):
    """The three methods."""

    sft: SftConfig = Field(SftConfig(), description="LoRA SFT.")
    prompt_tuning: PromptTuningConfig = Field(PromptTuningConfig(), description="Prompt tuning.")
    dpo: DpoConfig = Field(DpoConfig(), description="DPO.")


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


class ReportConfig(Section):
    """The report."""

    title: str = Field("Synthetic instruction tuning", description="Title of the report.")
    samples: int = Field(3, ge=0, description="Sample records, dropped records and answers shown.")
