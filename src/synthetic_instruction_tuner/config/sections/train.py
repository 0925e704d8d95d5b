"""The settings of training, a class per method of `methods.METHODS`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synthetic_instruction_tuner.config.sections.section import Section, checked_list, refuse
from synthetic_instruction_tuner.methods import Method

AUTO = "auto"  # of LoRA: the model's own layers decide


class TrainerConfig(Section):
    """Settings that all training methods share."""

    learning_rate: float = Field(2e-4, gt=0, le=100, description="Peak learning rate.")
    num_train_epochs: float = Field(3.0, gt=0, le=10_000, description="Number of passes over the data.")
    per_device_train_batch_size: int = Field(4, ge=1, le=1_000_000, description="Examples per device and forward pass.")
    gradient_accumulation_steps: int = Field(
        4,
        ge=1,
        le=1_000_000,
        description="Forward passes per optimizer step; times per_device_train_batch_size, the global batch size.",
    )
    warmup_ratio: float = Field(
        0.05, ge=0, lt=1, description="Fraction of the steps over which the learning rate warms up."
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        "cosine", description="Learning-rate schedule after warm-up."
    )
    weight_decay: float = Field(0.0, ge=0, le=100, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    max_length: int = Field(
        1024, ge=16, description="Maximum length of an example, in tokens; longer ones are truncated at the end."
    )
    save_steps: int = Field(25, ge=1, description="Steps between checkpoints; a crash loses at most this many.")
    gradient_checkpointing: bool = Field(False, description="Recompute activations to save memory.")
    logging_steps: int = Field(5, ge=1, description="Steps between logged losses.")

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that decide whether an adapter is trained anew."""
        return self.model_dump(mode="json")


class LoraShape(Section):
    """The LoRA adapter."""

    r: int = Field(8, ge=1, le=65_536, description="Rank.")
    lora_alpha: int = Field(16, ge=1, le=1_000_000, description="Scale; the update is multiplied by lora_alpha / r.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout before the adapter.")
    use_rslora: bool = Field(
        False,
        description="Rank-stabilized LoRA: the update is multiplied by lora_alpha / sqrt(r), for high ranks.",
    )
    use_dora: bool = Field(
        False,
        description="DoRA: direction and length of the weights are learned apart; better at low ranks, slower and with "
        "more memory.",
    )
    target_modules: tuple[str, ...] = Field(
        (AUTO,),
        description="Linear modules to adapt, by the end of their names; auto: all linear layers of the model, without "
        "experts, their routers and the output layer.",
        min_length=1,
    )

    @field_validator("target_modules", mode="before")
    @classmethod
    def _auto_without_brackets(cls, value: object) -> object:
        return (AUTO,) if value == AUTO else value

    @field_validator("target_modules")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refuse("auto stands alone: name modules, or write auto" if AUTO in value and len(value) > 1 else None)
        return checked_list(value)

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that the adapter's shape depends on; switches that are off leave work as it is."""
        return _without(self.model_dump(mode="json"), use_rslora=False, use_dora=False)


class SftConfig(TrainerConfig):
    """Supervised fine-tuning with LoRA; loss on the answers only."""

    lora: LoraShape = Field(LoraShape(), description="The adapter.")

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that decide whether an adapter is trained anew."""
        return super().key_part() | {"lora": self.lora.key_part()}


class PromptTuningConfig(TrainerConfig):
    """Prompt tuning: only virtual tokens in front of the prompt are trained."""

    num_virtual_tokens: int = Field(20, ge=1, le=65_536, description="Length of the soft prompt.")
    prompt_tuning_init_text: str = Field(
        "", description="Text whose embeddings initialize the soft prompt; random rows of the vocabulary when empty."
    )
    students: Literal["first", "all", "none"] = Field("first", description="Which students are prompt-tuned.")
    learning_rate: float = Field(1e-3, gt=0, le=100, description="Peak learning rate.")


class DpoConfig(TrainerConfig):
    """Direct preference optimization from each SFT adapter; the reference is the SFT policy."""

    beta: float = Field(
        0.1, gt=0, le=1e6, description="Strength of the penalty for moving away from the reference policy."
    )
    loss: Literal["sigmoid", "ipo", "hinge", "sigmoid_norm", "robust"] = Field(
        "sigmoid",
        description="Loss on a pair, by TRL's names: sigmoid (DPO), ipo, hinge (SLiC), sigmoid_norm (normalized by the "
        "answers' lengths), robust (sigmoid with label_smoothing).",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Share of pairs that are expected to be the wrong way round; with loss robust only.",
    )
    learning_rate: float = Field(5e-6, gt=0, le=100, description="Peak learning rate.")
    num_train_epochs: float = Field(1.0, gt=0, le=10_000, description="Number of passes over the pairs.")
    sft_weight: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Weight of the SFT loss on the chosen answers, which is added to the DPO loss; 0: plain DPO.",
    )

    @model_validator(mode="after")
    def _smoothed(self) -> DpoConfig:
        refuse(
            "label_smoothing needs loss robust, which is sigmoid with label smoothing"
            if self.label_smoothing and self.loss != "robust"
            else None,
            "loss robust needs label_smoothing above 0; without it, it is sigmoid"
            if self.loss == "robust" and not self.label_smoothing
            else None,
        )
        return self

    def key_part(self) -> dict[str, Any]:
        """Returns the settings that decide whether an adapter is trained anew."""
        return _without(super().key_part(), loss="sigmoid", label_smoothing=0.0)


class TrainConfig(Section):
    """The settings of each method, under its name."""

    sft: SftConfig = Field(SftConfig(), description="LoRA SFT.")
    prompt_tuning: PromptTuningConfig = Field(PromptTuningConfig(), description="Prompt tuning.")
    dpo: DpoConfig = Field(DpoConfig(), description="DPO.")
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow", "trackio"], ...] = Field(
        (), description="Trackers that each step is reported to, under TRL's names; none by default."
    )

    _distinct = field_validator("report_to")(checked_list)

    def of(self, method: Method) -> TrainerConfig:
        """Returns the settings of one method."""
        settings: TrainerConfig = getattr(self, method.name)
        return settings


def _without(settings: dict[str, Any], **defaults: object) -> dict[str, Any]:
    """Returns settings without these where they have their default: earlier work stays as it is."""
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}
