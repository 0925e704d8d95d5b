"""What a model's work takes of memory beside its weights: while it writes text, and while it is tuned.

On a GPU the terms are counted from what the layers keep, and were compared with measured peaks (docs/planning.md). On a
CPU, in float32, they are those of Korthikanti et al. 2022 (arXiv:2205.05198), fitted to the embedded models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.sizes.decoding_memory import PREFILLED, TextBytes, divided

GB = 1e9
WIDTH = 2  # bytes of a number while a GPU computes
FULL_WIDTH = 4  # bytes of a number on a CPU
OPTIMIZER_GB = 0.4  # on a CPU: the adapter, its gradient, and the optimizer's two means
LOGITS_AT_ONCE = 2**26  # numbers of a slice of the logits while packed texts are trained on: 268 MB in float32
SPARE_POSITIONS = 192  # in pages that a text has beside those that it fills

Tuned = Literal["lora", "pairs", "soft_prompt"]
"""What is tuned: LoRA on texts, LoRA on pairs (no dropout, two texts each), or virtual tokens alone."""


@dataclass(frozen=True, slots=True)
class Widths:
    """The widths of a layer's parts, guessed where a model's files do not tell them."""

    hidden: int
    inner: int
    queries: int
    key_values: int

    @property
    def adapted(self) -> int:
        """Numbers that the seven linear layers read for a token."""
        return 5 * self.hidden + self.queries + self.inner

    @property
    def weights(self) -> int:
        """Weights of the seven linear layers."""
        return self.hidden * (2 * self.queries + self.key_values + 3 * self.inner)

    @property
    def lora_sums(self) -> int:
        """Inputs and outputs of the seven linear layers; times the rank, the weights of LoRA in a layer."""
        attention = 2 * (self.hidden + self.queries) + 2 * self.hidden + self.key_values
        return attention + 3 * (self.hidden + self.inner)


def widths(size: ModelShape) -> Widths:
    """Returns the widths of a layer's parts."""
    inner = size.inner or 7 * size.hidden // 2
    return Widths(size.hidden, inner, size.query_width or size.hidden, size.kv_width)


def adapter_weights(size: ModelShape, tuned: Tuned, rank: int = 8, virtual_tokens: int = 20) -> float:
    """Returns how many numbers are trained, with LoRA on the seven linear layers of each layer."""
    if tuned == "soft_prompt":
        return float(virtual_tokens * size.hidden)
    return float(rank * size.layers * widths(size).lora_sums)


def decoding_gb(
    size: ModelShape,
    rows: int,
    length: float,
    width: int = WIDTH,
    free_gb: float | None = None,
    prompt: float | None = None,
) -> float:
    """Returns the memory for decoding, in GB of 1e9 bytes: keys and values, what reads the prompts, and logits.

    On a GPU whose free memory is known, they divide it as the engine divides it; at least one text is counted.

    Args:
        size: the model's sizes.
        rows: texts at once.
        length: the most tokens of a text with its prompt.
        width: bytes of a number.
        free_gb: on a GPU, what is free beside the weights.
        prompt: tokens of a prompt, padding included, that the engine reads with those of other rows; a quarter of
            `length` where it is not known.
    """
    each = text_bytes(size, width)
    logits = rows * each.logits
    if width == FULL_WIDTH:
        return (rows * length * each.position + logits) / GB
    prompt = length / 4 if prompt is None else prompt
    one = (length + SPARE_POSITIONS) * each.position
    pages, read = rows * one, min(PREFILLED, rows * prompt)
    if free_gb is not None:
        parts = divided(free_gb * GB, each, rows, rows)
        pages, read = max(one, min(pages, parts.pages)), max(prompt, min(read, parts.prefilled))
    return (pages + read * (each.position + each.read) + logits) / GB


def text_bytes(size: ModelShape, width: int = WIDTH) -> TextBytes:
    """Returns what a model's texts take while they are written, with numbers of so many bytes."""
    read = reading_bytes(size) * width / WIDTH
    return TextBytes(size.layers * size.kv_width * width, read, size.vocabulary)


def scoring_gb(size: ModelShape, tokens: float, width: int = WIDTH) -> float:
    """Returns the memory for reading texts once, in GB of 1e9 bytes.

    Args:
        size: the model's sizes.
        tokens: read at once, padding included.
        width: bytes of a number.
    """
    return tokens * reading_bytes(size) * (width / WIDTH) / GB


def reading_bytes(size: ModelShape) -> float:
    """Bytes per token while a layer is computed without a backward pass: three tensors of the MLP, and four more."""
    parts = widths(size)
    return 2 * (3 * parts.inner + 4 * parts.hidden)


def tuning_gb(
    size: ModelShape,
    tokens: float,
    checkpointing: bool,
    width: int = WIDTH,
    tuned: Tuned = "lora",
    rank: int = 8,
    four_bit: bool = False,
    packed: bool = False,
) -> float:
    """Returns the memory for tuning an adapter, in GB of 1e9 bytes.

    Args:
        size: the model's sizes.
        tokens: in the largest micro-batch, padding included.
        checkpointing: whether activations are computed again in the backward pass: then the inputs of all layers are
            kept, and one layer's activations.
        width: bytes of a number.
        tuned: what is tuned.
        rank: of LoRA.
        four_bit: whether the base is held in 4 bits: one matrix at a time is brought to 16.
        packed: whether texts are packed, and what is cheap to compute is not kept; not on a CPU.
    """
    if width == FULL_WIDTH:
        each = 2 * size.layers + 34 if checkpointing else 34 * size.layers
        return OPTIMIZER_GB + (tokens * size.hidden * each * width / 2 + tokens * size.vocabulary * 10) / GB
    parts = widths(size)
    layer = packed_bytes(size) if packed else activation_bytes(size, tuned)
    kept = 2 * size.layers * size.hidden + layer if checkpointing else size.layers * layer
    gradients = (9 if packed else 6) * parts.inner + 12 * parts.hidden
    adapter = 16 * adapter_weights(size, tuned, rank)  # float32: itself, its gradient, and the optimizer's two means
    matrix = 2 * parts.hidden * parts.inner if four_bit else 0
    if packed:  # either the head's slice of the logits, or a layer's gradients
        return (tokens * kept + max(tokens * gradients, 10 * LOGITS_AT_ONCE) + adapter + matrix) / GB
    return (tokens * (kept + gradients) + adapter + matrix) / GB


def packed_bytes(size: ModelShape) -> float:
    """Bytes per token that a layer of a packed pass keeps for the backward pass in 16 bits.

    Its input and the one of its MLP, queries, keys, values and their mixture, the gate and what it is multiplied by.
    """
    parts = widths(size)
    return 4 * parts.hidden + 4 * parts.queries + 2 * parts.key_values + 4 * parts.inner


def activation_bytes(size: ModelShape, tuned: Tuned) -> float:
    """Bytes per token that a layer keeps for the backward pass under 16-bit autocast.

    Two norms keep their input in float32; the MLP keeps its gate, its activation and its product; attention keeps
    queries, expanded keys and values, and its result. Each of the seven linear layers under LoRA also keeps its input
    in 16 bits and, with dropout, a mask of a byte.
    """
    parts = widths(size)
    layer = 8 * parts.hidden + 6 * parts.inner + 8 * parts.queries
    return layer + {"lora": 3, "pairs": 2, "soft_prompt": 0}[tuned] * parts.adapted
