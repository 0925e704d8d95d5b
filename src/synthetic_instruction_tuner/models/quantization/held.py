"""Which models are held in fewer bits than they compute in, and what that needs. Imports nothing heavy."""

from __future__ import annotations

from importlib.util import find_spec

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models.file_checks.checked_files import Fault
from synthetic_instruction_tuner.models.files import shape, stored_as
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import FOUR_BITS, NumberFormat, model_format
from synthetic_instruction_tuner.models.sizes.decoding_memory import Rows
from synthetic_instruction_tuner.models.working_memory import decoding_gb

INSTALL = 'pip install "synthetic-instruction-tuner[qlora]"'
FEW_ROWS, LENGTH = 16, 1024  # texts, and tokens of each, that must fit beside a model's weights
READ_ONCE = 20  # bytes per token and hidden unit while a text is read once, in 16 bits
OF_BITSANDBYTES = {*FOUR_BITS, "int8"}


def held_as(model: ModelConfig) -> str:
    """Returns how a model's linear layers are held once it is loaded: ``nf4``, another name, or "" for plain weights.

    A model's setting ``auto`` says nothing of 4 bits here: whoever knows the machine and the stage has decided before.
    """
    return stored_as(model) or ("nf4" if model.load_in_4bit is True else "")


def writing_format(model: ModelConfig, hardware: Hardware, dtype: str, rows: Rows) -> NumberFormat:
    """Returns the format of a model that writes, where nothing is known of its texts but how many there are at once.

    Args:
        model: where it is.
        hardware, dtype: see `number_format.choose_format`.
        rows: `engine.batch_size`.
    """
    size = shape(model)
    return model_format(model, hardware, dtype, decoding_gb(size, few_rows(rows), LENGTH) if size else 0.0)


def few_rows(rows: Rows) -> int:
    """Returns how many texts at once must fit beside a model's weights: ``auto`` takes what is left."""
    return FEW_ROWS if rows == "auto" else min(rows, FEW_ROWS)


SMALL = 1e9  # a reward model of at most this many parameters is small


def reading_format(model: ModelConfig, hardware: Hardware, dtype: str, tokens: int) -> NumberFormat:
    """Returns the format of a model that reads texts once, such as a reward model.

    A small one computes in float32, if nothing else is set: half precision would tie close scores.

    Args:
        model: where it is.
        hardware, dtype: see `number_format.choose_format`.
        tokens: in the largest batch.
    """
    size = shape(model)
    found = model_format(model, hardware, dtype, READ_ONCE * tokens * size.hidden / 1e9 if size else 0.0)
    if dtype != "auto" or found.weights == "float32" or found.quantized or size is None or size.parameters > SMALL:
        return found
    return NumberFormat("float32", "float32", "a small reward model, whose close scores must not tie")


def settled(model: ModelConfig, found: NumberFormat) -> ModelConfig:
    """Returns the model with what was decided in place of ``auto``."""
    if model.load_in_4bit != "auto" or stored_as(model):
        return model
    return model.model_copy(update={"load_in_4bit": found.four_bit})


def missing_library(model: ModelConfig) -> Fault | None:
    """Returns that bitsandbytes is not installed, where this model needs it."""
    if held_as(model) not in OF_BITSANDBYTES or find_spec("bitsandbytes") is not None:
        return None
    fix = f"Install it: {INSTALL}. Or use a smaller model, or set its load_in_4bit to false."
    return Fault(f"its weights are held in {held_as(model)}, which needs bitsandbytes", fix)
