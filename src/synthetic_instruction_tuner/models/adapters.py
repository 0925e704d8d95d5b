"""Reads adapters: LoRA matrices to merge into a model, and soft prompts."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound, read_object
from synthetic_instruction_tuner.models.file_checks.weight_files import tensors

if TYPE_CHECKING:
    import torch

_ADAPTER = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def is_soft_prompt(adapter: Path) -> bool:
    """Returns whether the folder holds a prompt-tuning adapter; otherwise it is LoRA."""
    return bool(adapter_config(adapter).get("peft_type") == "PROMPT_TUNING")


def adapter_digest(folder: Path, base: ModelConfig) -> str:
    """Returns a hash of an adapter's configuration and weights, which does not depend on where its base model is.

    Args:
        folder: the adapter.
        base: its base model; the hash has its path as the user gave it, in place of this machine's.
    """
    config = (folder / _ADAPTER).read_bytes()
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        named = dict(json.loads(config)) | {"base_model_name_or_path": base.path}
        config = json.dumps(named, indent=2, sort_keys=True).encode()
    digest = hashlib.sha256()
    for content in (config, (folder / _WEIGHTS).read_bytes()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def load_soft_prompt(adapter: Path) -> torch.Tensor:
    """Returns the virtual tokens of a prompt-tuning adapter, [virtual tokens, hidden]."""
    from safetensors.torch import load_file

    return load_file(adapter / _WEIGHTS)["prompt_embeddings"]


def merged(model: Any, adapter: Path) -> Any:
    """Returns the model with a LoRA adapter merged into its weights.

    Raises:
        UserError: the adapter is of another type, or does not fit the model.
    """
    return _with_lora(model, adapter).merge_and_unload(safe_merge=True)


def attached(model: Any, adapter: Path) -> Any:
    """Returns a quantized model with a LoRA adapter beside its weights, which computes in the model's own type.

    Raises:
        UserError: the adapter is of another type, or does not fit the model.
    """
    from peft.tuners.lora import LoraLayer

    tuned = _with_lora(model, adapter)
    for layer in tuned.modules():
        if isinstance(layer, LoraLayer):
            for part in (layer.lora_A, layer.lora_B, layer.lora_embedding_A, layer.lora_embedding_B):
                part.to(model.dtype)
    return tuned.get_base_model()


def _with_lora(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    kind = adapter_config(adapter).get("peft_type")
    if kind != "LORA":
        fix = "Use a LoRA or prompt-tuning adapter."
        raise UserError(f"The adapter {adapter} cannot be merged.", f"its type is {kind}", fix)
    try:
        return PeftModel.from_pretrained(model, str(adapter))
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise UserError(
            f"The adapter {adapter} does not fit its base model.",
            "it was trained on a model of another shape: the base model has changed since",
            "Train it again: run `sit run` with the same folder.",
        ) from error


def adapter_config(adapter: Path) -> dict[str, Any]:
    """Returns the adapter's own configuration.

    Raises:
        UserError: the folder holds no adapter, or a damaged one.
    """
    for name in (_ADAPTER, _WEIGHTS):
        if not (adapter / name).exists():
            fix = f"Give a folder that contains {_ADAPTER} and {_WEIGHTS}."
            raise UserError(f"There is no adapter in {adapter}.", f"{name} is missing", fix)
    try:
        config = dict(read_object(adapter / _ADAPTER))
        tensors(adapter / _WEIGHTS)
    except Unsound as error:
        fix = "Train it again: run `sit run` with the same folder."
        raise UserError(f"The adapter in {adapter} cannot be used.", error.fault.reason, fix) from error
    return config
