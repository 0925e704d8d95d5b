"""In which number format a model's weights are held: 32 or 16 bits, or 4 bits (NF4) where 16 do not fit.

NF4 with double quantization: Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs" (arXiv:2305.14314).
Only linear layers are held in 4 bits; embeddings, the output layer and norms stay in the type that computes. It saves
memory, not time, so it is taken only where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.availability import shown_path
from synthetic_instruction_tuner.models.files import ModelShape, shape, stored_as
from synthetic_instruction_tuner.models.hardware import Hardware, choose_dtype

FourBit = Literal["auto"] | bool
"""The setting ``load_in_4bit`` of a model."""

BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
FOUR_BITS = {"nf4", "fp4"}
# 4 bits, 8 more for each 64 weights, 32 more for each 256 of these (QLoRA, section 3).
NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
INT8_BYTES = 1.0
RESERVE_GB = 0.8  # of a GPU: CUDA's own memory, kernels' workspaces, and gaps between tensors
GB = 1e9


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format for a model's weights.

    Attributes:
        weights: ``float32``, ``float16``, ``bfloat16`` or ``nf4``; of a model that is quantized in its files, their
            format, such as ``fp4``, ``int8`` or ``gptq``.
        compute: the type of the arithmetic, and of the weights that are not held in 4 bits.
        why: the reason, in a few words.
    """

    weights: str
    compute: str
    why: str

    @property
    def four_bit(self) -> bool:
        """Whether the linear layers are held in 4 bits."""
        return self.weights in FOUR_BITS

    @property
    def quantized(self) -> bool:
        """Whether the linear layers are held in another type than the one that computes."""
        return self.weights != self.compute

    @property
    def name(self) -> str:
        """The format in a few words: ``bfloat16``, or ``nf4, computed in bfloat16``."""
        return f"{self.weights}, computed in {self.compute}" if self.quantized else self.weights

    def describe(self) -> str:
        """Returns the format and the reason in one line."""
        return f"{self.name} ({self.why})"


def weights_gb(size: ModelShape, weights: str, compute: str) -> float:
    """Returns the memory of a model's weights, in GB of 1e9 bytes.

    Args:
        size: the model's sizes.
        weights: `NumberFormat.weights`; a format that is not known here counts as 4 bits.
        compute: the type of what 4 bits leave alone.
    """
    if weights in BYTES:
        return size.parameters * BYTES[weights] / GB
    kept = min(size.unquantized, size.parameters)
    each = INT8_BYTES if weights == "int8" else NF4_BYTES
    return (kept * BYTES[compute] + (size.parameters - kept) * each) / GB


def choose_format(
    size: ModelShape | None, wanted: FourBit, hardware: Hardware, dtype: str = "auto", beside_gb: float = 0.0
) -> NumberFormat:
    """Returns the number format of a model's weights.

    ``auto`` takes 4 bits only on a GPU, and only where the weights in 16 bits do not fit into its memory beside what
    the stage needs.

    Args:
        size: the model's sizes; None where they are not known.
        wanted: the model's setting ``load_in_4bit``.
        hardware: the machine.
        dtype: the setting ``engine.dtype``.
        beside_gb: memory that the stage needs beside the weights, in GB of 1e9 bytes.

    Raises:
        UserError: the type is bfloat16, and the GPU only emulates it.
    """
    compute, why = choose_dtype(hardware, dtype)
    if wanted is True:
        return NumberFormat("nf4", compute, "load_in_4bit is true")
    if wanted == "auto" and hardware.gpu_memory_gb is not None and size is not None:
        half = weights_gb(size, "float16", "float16")
        if half + beside_gb + RESERVE_GB > hardware.gpu_memory_gb:
            beside = f" beside {beside_gb:.1f} GB for the work" if beside_gb else ""
            have = f"the {hardware.gpu_memory_gb:.1f} GB of {hardware.device_name}"
            return NumberFormat("nf4", compute, f"{half:.1f} GB in 16 bits do not fit{beside} into {have}")
    return NumberFormat(compute, compute, why)


def model_format(
    model: ModelConfig, hardware: Hardware, dtype: str = "auto", beside_gb: float = 0.0, wanted: FourBit | None = None
) -> NumberFormat:
    """Returns the number format of a model, which may be quantized in its files; see `choose_format`.

    Args:
        model: where it is, and its setting ``load_in_4bit``.
        hardware, dtype, beside_gb: see `choose_format`.
        wanted: takes the place of the model's setting where that is ``auto``.

    Raises:
        UserError: the type is bfloat16, and the GPU only emulates it; or 4 bits are forbidden and in the files.
    """
    setting = wanted if wanted is not None and model.load_in_4bit == "auto" else model.load_in_4bit
    if (stored := stored_as(model)) is None:
        return choose_format(shape(model), setting, hardware, dtype, beside_gb)
    if stored in FOUR_BITS and model.load_in_4bit is False:
        raise UserError(
            f"The model {shown_path(model)} is in 4 bits.",
            f"load_in_4bit is false, and its files hold {stored} weights",
            "Name a model whose files are not quantized, or leave load_in_4bit out.",
        )
    return NumberFormat(stored, choose_dtype(hardware, dtype)[0], "as its files hold it")
