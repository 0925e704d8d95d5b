"""A LoRA adapter merged into the unquantized weights of its base model, layer by layer, on the CPU.

PEFT adds the product of the two matrices in float32 and rounds the sum to the weights' type once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.exporting.base_model import separate_head
from synthetic_instruction_tuner.exporting.trial import Difference, difference, logits
from synthetic_instruction_tuner.models.adapters import with_lora
from synthetic_instruction_tuner.models.file_checks.weight_files import tensors


def merge(base: Any, adapter: Path, rows: Sequence[Sequence[int]], vocabulary: int) -> tuple[Any, Difference]:
    """Returns the merged model, and how far it is from the base model with the adapter beside its weights.

    Args:
        base: the base model; it is changed.
        adapter: the folder of the adapter.
        rows: token ids of the texts to compare.
        vocabulary: how many logits are compared.

    Raises:
        UserError: the adapter does not fit.
    """
    if _adapts_words(base, adapter):  # else what is added to one layer would be added to both
        separate_head(base)
    tuned = with_lora(base, adapter).eval()
    beside = logits(tuned, rows, vocabulary)
    merged = tuned.merge_and_unload(safe_merge=True)
    return merged, difference(logits(merged, rows, vocabulary), beside)


def _adapts_words(base: Any, adapter: Path) -> bool:
    """Returns whether the adapter changes the embeddings or the output layer."""
    ends = [base.get_input_embeddings(), base.get_output_embeddings()]
    names = {name for name, module in base.named_modules() if any(module is end for end in ends)}
    return any(
        f".{name}.lora_" in f".{tensor}" for tensor in tensors(adapter / "adapter_model.safetensors") for name in names
    )
