"""Linear layers in 4 bits: what `from_pretrained` is told, and what makes them compute in one type everywhere.

bitsandbytes holds the weights and computes with them (the extra ``qlora``). It has faster ways of its own on some
processors, in bfloat16; they are turned off, so that a model's numbers do not depend on the processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.availability import shown_path
from synthetic_instruction_tuner.models.files import stored_as
from synthetic_instruction_tuner.models.quantization.held import OF_BITSANDBYTES, held_as, missing_library

_FLAGS = ("is_loaded_in_4bit", "is_loaded_in_8bit")


def loading_arguments(model: ModelConfig, compute: Any, device: str, heads: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what `from_pretrained` needs besides the path to load a model's linear layers in 4 bits, if they are to.

    Args:
        model: where it is, and whether it is held in 4 bits.
        compute: torch's type for the arithmetic.
        device: where it is loaded; quantized weights are made there, and none on ``meta``.
        heads: parts of the model that are not quantized, besides the output layer of one that writes.

    Raises:
        UserError: bitsandbytes is not installed, or the model's files are quantized in a way that is not known.
    """
    if not held_as(model):
        return {}
    stored = stored_as(model)
    if stored and stored not in OF_BITSANDBYTES:
        _require_known(model, stored)
    if fault := missing_library(model):
        raise UserError(f"The model {shown_path(model)} cannot be loaded.", fault.reason, fault.fix)
    if device == "meta":
        return {}
    if stored:
        return {"device_map": {"": device}}
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        llm_int8_skip_modules=list(heads) or None,
    )
    return {"device_map": {"": device}, "quantization_config": config}


def _require_known(model: ModelConfig, stored: str) -> None:
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    if stored not in AUTO_QUANTIZER_MAPPING:
        raise UserError(
            f"The model {shown_path(model)} cannot be loaded.",
            f"its config.json says that its weights are quantized by {stored!r}, which Transformers does not know",
            "Name a model whose files are not quantized, or are quantized in a way that Transformers reads.",
        )


def compute_in(loaded: Any, compute: Any) -> None:
    """Makes all layers in 4 bits compute in one type, whatever a model's files say of it.

    Args:
        loaded: a model.
        compute: torch's type.
    """
    for module in loaded.modules():
        if (state := getattr(getattr(module, "weight", None), "quant_state", None)) is not None:
            module.compute_dtype, module.compute_type_is_set = compute, True
            module.support_avx512bf16_for_cpu = False
            state.dtype = compute  # of the weights when they are unpacked


def weight_count(parameter: Any) -> int:
    """Returns how many weights a parameter has; two of 4 bits lie in one number."""
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else prod(state.shape))


@contextmanager
def adapters_in_float32(base: Any) -> Iterator[None]:
    """Keeps TRL's trainers from turning the adapters of a quantized model into bfloat16 while they are made.

    bfloat16 would round an adapter that training continues from, and some GPUs only emulate it.

    Args:
        base: the model under the adapter.
    """
    flags = {name: vars(base)[name] for name in _FLAGS if name in vars(base)}
    for name in flags:
        setattr(base, name, False)
    try:
        yield
    finally:
        for name, value in flags.items():
            setattr(base, name, value)
