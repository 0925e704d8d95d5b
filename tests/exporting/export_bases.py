"""Small base models with adapters for them, as a run would leave them; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from random_models import CHATML, LLAMA3, byte_tokenizer

TOKENS = 5  # of a soft prompt


def tokenizer_of(kind: str = "plain") -> Any:
    """A tokenizer: ``plain``; ``bos`` adds one by itself and its template writes none; ``llama3`` does both."""
    from tokenizers import processors

    tokenizer = byte_tokenizer(LLAMA3 if kind == "llama3" else CHATML)
    if kind != "plain":
        bos = ("<|begin|>", tokenizer.convert_tokens_to_ids("<|begin|>"))
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B", special_tokens=[bos]
        )
    return tokenizer


def base_model(
    folder: Path, arch: str, *, tied: bool = True, kind: str = "plain", spare: int = 0, dtype: str = "float32"
) -> Path:
    """Writes a base model whose vocabulary has `spare` rows that no token uses."""
    import transformers as t

    torch.manual_seed(3)
    tokenizer = tokenizer_of(kind)
    common = {
        "vocab_size": len(tokenizer) + spare,
        "tie_word_embeddings": tied,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.3,  # so that what came before is heard
    }
    if arch == "gpt2":
        config: Any = t.GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=256)
    else:
        config = t.AutoConfig.for_model(
            arch, **common, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512,
        )  # fmt: skip
    model = t.AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def soft_prompt(base: Path, folder: Path, size: float = 1.0, count: int = TOKENS) -> Path:
    """Writes a prompt-tuning adapter with random virtual tokens, as large as that many rows of the vocabulary."""
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=count))
    rows = tuned.prompt_encoder["default"].embedding.weight
    torch.manual_seed(4)
    with torch.no_grad():
        rows.copy_(torch.randn(rows.shape) * model.get_input_embeddings().weight.std() * size)
    tuned.save_pretrained(folder)
    return folder


def lora(base: Path, folder: Path, targets: Any = "all-linear") -> Path:
    """Writes a LoRA adapter with random matrices."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=targets))
    torch.manual_seed(5)
    for name, weight in tuned.named_parameters():
        if ".lora_" in name:
            with torch.no_grad():
                weight.copy_(torch.randn(weight.shape) * 0.1)
    tuned.save_pretrained(folder, save_embedding_layers=False)
    return folder
