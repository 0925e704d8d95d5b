"""Supervised fine-tuning with LoRA: small trained matrices beside the frozen linear layers.

    metrics = LoraSft(config, seed=7).train(model, records, Path("models/sft/student"))

LoRA: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftModel, PeftType, get_peft_model

from synthetic_instruction_tuner.config import LoraShape, SftConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.training.lora_targets import find_targets
from synthetic_instruction_tuner.training.supervised import Supervised


class LoraSft(Supervised):
    """Tunes a base model on instruction-response records with a LoRA adapter."""

    method = "sft"
    config: SftConfig

    def add_adapter(self, base: Any, tokenizer: Any) -> Any:
        """Returns the base model with fresh LoRA matrices, in float32 whatever the base's type."""
        return with_lora(base, self.config.lora)

    def notes(self, base: Any) -> list[str]:
        """Returns which of the model's layers are adapted, where the settings alone do not say it."""
        return find_targets(base, self.config.lora.target_modules).notes()


def with_lora(base: Any, shape: LoraShape) -> Any:
    """Returns the base model with fresh LoRA matrices of this shape."""
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=shape.r,
        lora_alpha=shape.lora_alpha,
        lora_dropout=shape.lora_dropout,
        use_rslora=shape.use_rslora,
        use_dora=shape.use_dora,
        target_modules=list(find_targets(base, shape.target_modules).names),
    )
    return get_peft_model(base, config)


def with_trained_lora(base: Any, adapter: Path) -> PeftModel:
    """Returns the base model with the LoRA adapter of a folder, to be trained further.

    Raises:
        UserError: the adapter is of another kind. Behind a soft prompt TRL's DPO would score each answer by the
            logits of other positions.
    """
    kind = PeftConfig.from_pretrained(str(adapter)).peft_type
    if kind != PeftType.LORA:
        raise UserError(
            "Only a LoRA adapter can be trained further on pairs.",
            f"{adapter} holds one of the kind {getattr(kind, 'value', kind)}.",
            "Give the folder of an adapter from SFT, or none: then a new one is trained.",
        )
    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
