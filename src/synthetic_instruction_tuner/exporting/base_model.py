"""The base model of an export: its unquantized weights in the type of its files, and how much room they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.availability import availability, shown_path
from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound
from synthetic_instruction_tuner.models.file_checks.weight_files import number_types
from synthetic_instruction_tuner.models.files import shape, stored_as
from synthetic_instruction_tuner.models.loading import explained, load_causal_lm, resolve, source
from synthetic_instruction_tuner.models.number_format import FOUR_BITS

TYPES = ("float32", "float16", "bfloat16")
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_UNPACKED = "bfloat16"  # what packed weights become


def require_base_model(model: ModelConfig) -> None:
    """Stops where the base model is gone.

    Raises:
        UserError: its files are missing or damaged, or the Hub does not have it.
    """
    if fault := availability(model).fault:
        fix = f"{fault.fix} The adapter alone can be exported without it, if its tokenizer is there."
        raise UserError(f"The base model {shown_path(model)} cannot be read.", fault.reason, fix)


def export_type(model: ModelConfig, asked: str | None) -> str:
    """Returns the type of an export's weights: the one asked for, else that of the base model's files.

    bfloat16 where those are quantized, or do not say.
    """
    if asked:
        return asked
    if stored_as(model):
        return _UNPACKED
    from transformers import AutoConfig

    with explained(model):
        config = AutoConfig.from_pretrained(resolve(model, weights=False), **source(model))
    found = str(config.get_text_config().dtype or config.dtype or _UNPACKED).removeprefix("torch.")
    return found if found in TYPES else _UNPACKED


def adapter_type(adapter: Path) -> str:
    """Returns the type of an adapter's weights, as their file says; of several, the one of most numbers.

    Raises:
        UserError: the file is missing, or damaged.
    """
    try:
        found = number_types(adapter / "adapter_model.safetensors")
    except (Unsound, OSError) as error:
        raise UserError(f"The adapter {adapter} cannot be read.", str(error), "Train it again.") from error
    return max(found, key=lambda name: found[name], default="float32")


def bytes_needed(model: ModelConfig, dtype: str) -> float:
    """Returns about how many bytes the weights take; 0 where the model's files are not here yet."""
    size = shape(model)
    if size is None:
        return 0.0
    return (size.parameters + size.vocabulary * size.hidden) * BYTES[dtype]


def load_unquantized(model: ModelConfig, dtype: str) -> Any:
    """Returns the base model on the CPU, never in 4 bits, also if it was trained so.

    Weights that are packed in the model's own files (NF4, FP4, int8 of bitsandbytes) are unpacked.

    Raises:
        UserError: it cannot be loaded, or its files are quantized in a way that cannot be undone.
    """
    stored = stored_as(model)
    if stored and stored not in (*FOUR_BITS, "int8"):
        raise UserError(
            f"The adapter of {shown_path(model)} cannot be merged.",
            f"the base model's files hold {stored} weights, which an adapter cannot be added to",
            "Export the adapter alone (--adapter), or train on the model's unquantized weights.",
        )
    loaded = load_causal_lm(model.model_copy(update={"load_in_4bit": False}), dtype, "cpu")
    if stored:
        loaded = loaded.dequantize()
        _forget_quantization(loaded)
        import torch

        loaded = loaded.to(getattr(torch, dtype))
    return loaded.eval()


def _forget_quantization(loaded: Any) -> None:
    """Removes what would make Transformers write unpacked weights as if they were packed."""
    for name in ("is_quantized", "is_loaded_in_4bit", "is_loaded_in_8bit"):
        if name in vars(loaded):
            setattr(loaded, name, False)
    for name in ("quantization_method", "hf_quantizer"):
        if name in vars(loaded):
            setattr(loaded, name, None)
    if hasattr(loaded.config, "quantization_config"):
        del loaded.config.quantization_config
    steps = getattr(loaded, "_weight_conversions", None) or []
    loaded._weight_conversions = [step for step in steps if _goes_back(step)]


def _goes_back(step: Any) -> bool:
    """Returns whether what was done to weights as they were loaded is undone when they are written."""
    try:
        step.reverse_transform()
    except NotImplementedError:
        return False
    return True


def separate_head(model: Any) -> bool:
    """Gives a model an output layer of its own where it shares that of its embeddings; returns whether it did so."""
    import torch

    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is None:
        fix = "Export the adapter alone (--adapter)."
        raise UserError(
            "The base model cannot be exported.", "its output layer is not one that Transformers names", fix
        )
    shared = head.weight is table.weight or head.weight.data_ptr() == table.weight.data_ptr()
    if shared:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
    for config in {id(one): one for one in (model.config, model.config.get_text_config())}.values():
        config.tie_word_embeddings = False
    return shared
