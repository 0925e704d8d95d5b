"""What a model's work takes of a GPU's memory beside its weights: while it writes text, and while it is tuned."""

from __future__ import annotations

from synthetic_instruction_tuner.models.files import ModelShape

GB = 1e9
WIDTH = 2  # bytes of a number while a GPU computes
OPTIMIZER_GB = 0.4  # the adapter, its gradient, and the optimizer's two means


def decoding_gb(size: ModelShape, rows: int, length: float, width: int = WIDTH) -> float:
    """Returns the memory for decoding, in GB of 1e9 bytes: keys and values, and one row of logits per text.

    Args:
        size: the model's sizes.
        rows: texts at once.
        length: tokens of a text with its prompt.
        width: bytes of a number.
    """
    return (rows * length * size.layers * size.kv_width * width + rows * size.vocabulary * 8) / GB


def tuning_gb(size: ModelShape, tokens: float, checkpointing: bool, width: int = WIDTH) -> float:
    """Returns the memory for tuning an adapter, in GB of 1e9 bytes: activations, and logits with their gradient.

    A layer's activations take 34 bytes per token and hidden unit in 16 bits (Korthikanti et al. 2022,
    arXiv:2205.05198); checkpointing keeps the inputs of all layers, 2 bytes, and one layer's activations.

    Args:
        size: the model's sizes.
        tokens: in a micro-batch, padding included.
        checkpointing: whether activations are computed again in the backward pass.
        width: bytes of a number.
    """
    each = 2 * size.layers + 34 if checkpointing else 34 * size.layers
    return OPTIMIZER_GB + (tokens * size.hidden * each * width / 2 + tokens * size.vocabulary * 10) / GB
