"""Prompt tuning: the whole model stays frozen; only a few virtual tokens in front of the prompt are trained.

    metrics = PromptTuning(config, seed=7).train(model, records, Path("models/prompt_tuning/student"))

Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning"; virtual tokens start as rows of the
vocabulary, which that paper found better than noise.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import PromptTuningConfig as PeftPromptTuningConfig
from peft import PromptTuningInit, get_peft_model

from synthetic_instruction_tuner.config import PromptTuningConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.file_checks.soundness import stated_size
from synthetic_instruction_tuner.training.supervised import Supervised


class PromptTuning(Supervised):
    """Tunes a soft prompt for a frozen base model on instruction-response records."""

    method = "prompt_tuning"
    config: PromptTuningConfig

    @property
    def virtual_tokens(self) -> int:
        """How many of the model's positions the soft prompt takes."""
        return self.config.num_virtual_tokens

    def add_adapter(self, base: Any, tokenizer: Any) -> Any:
        """Returns the base model with a soft prompt that starts as embeddings of text or random tokens, or at random.

        Random numbers are PEFT's: normal, with a standard deviation of 1.
        """
        at_random = self.config.prompt_tuning_init == "random"
        config = PeftPromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.config.num_virtual_tokens,
            prompt_tuning_init=PromptTuningInit.RANDOM if at_random else PromptTuningInit.SAMPLE_VOCAB,
            **_heads(base.config.to_dict()),
        )
        model = get_peft_model(base, config)
        prompt = model.prompt_encoder["default"].embedding
        prompt.float()
        if self.config.prompt_tuning_init_text:
            ids = self._initial_ids(tokenizer)
            with torch.no_grad():
                prompt.weight.copy_(base.get_input_embeddings().weight[ids])
        return model

    def _initial_ids(self, tokenizer: Any) -> list[int]:
        """Returns the text's token ids, repeated or cut to the soft prompt's length."""
        ids: list[int] = tokenizer.encode(self.config.prompt_tuning_init_text, add_special_tokens=False)
        if not ids:
            text = repr(self.config.prompt_tuning_init_text)
            raise UserError(
                "prompt_tuning_init_text has no tokens.", f"It is {text}.", "Give it some words, or leave it empty."
            )
        wanted = self.config.num_virtual_tokens
        return (ids * (wanted // len(ids) + 1))[:wanted]


def _heads(config: dict[str, Any]) -> dict[str, int]:
    """Returns the number of attention heads for PEFT, which asks for it, where it does not know its name."""
    known = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads")
    if any(name in config for name in (*known, "text_config")):
        return {}
    return {"num_attention_heads": stated_size(config, "heads") or 1}
