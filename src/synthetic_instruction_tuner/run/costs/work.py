"""The work that costs are asked for, and who answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.models.sizes.decoding_memory import Rows
from synthetic_instruction_tuner.models.working_memory import Tuned


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that a model writes.

    Attributes:
        rows: how many.
        length: tokens of one, in the mean.
        limit: the most tokens of one.
        call: texts that are asked for at once.
        slots: texts that the engine writes at once, at most; ``auto`` where it takes as many as fit.
        prompt: tokens that it reads before each, in the mean.
        equal_prompts: whether they all begin with the same prompt, which is read once in a call.
    """

    rows: int
    length: float
    limit: float
    call: int
    slots: Rows
    prompt: float = 0.0
    equal_prompts: bool = False

    @property
    def together(self) -> int:
        """Texts that the engine knows of at once."""
        return min(self.call, self.rows)

    @property
    def longest(self) -> float:
        """The most tokens of a text with its prompt, which is of usual length."""
        return self.prompt + self.limit


@dataclass(frozen=True, slots=True)
class Reading:
    """Texts that a model reads once, to score them or for their probability.

    Attributes:
        tokens: in all.
        passes: forward passes.
        at_once: tokens of the largest pass.
        longest: tokens of the longest text, where attention keeps the scores of all pairs, as encoders' does.
    """

    tokens: float
    passes: float
    at_once: float
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """The training of an adapter.

    Attributes:
        tokens: in all, of all epochs.
        micro_batches: forward and backward passes.
        largest: tokens of the largest micro-batch.
        checkpointing: whether activations are computed again in the backward pass.
        tuned: what is tuned.
        rank: of LoRA.
        read_once: tokens that the reference of pairs reads.
    """

    tokens: float
    micro_batches: float
    largest: float
    checkpointing: bool
    tuned: Tuned
    rank: int = 8
    read_once: float = 0.0


class Costs(Protocol):
    """What work costs on a machine: seconds, and memory in GB of 1e9 bytes, weights included."""

    def load(self, size: ModelShape) -> float:
        """Seconds to load a model."""
        ...

    def write(self, size: ModelShape, held: NumberFormat, texts: Texts, engine: str) -> float:
        """Seconds to write texts."""
        ...

    def at_once(self, size: ModelShape, held: NumberFormat, texts: Texts) -> int:
        """Texts that are written at once, as many as run in the mean."""
        ...

    def read(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Seconds to read texts once."""
        ...

    def tune(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Seconds to train an adapter."""
        ...

    def writing_gb(self, size: ModelShape, held: NumberFormat, texts: Texts) -> float:
        """Memory while texts are written by the transformers engine."""
        ...

    def reading_gb(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Memory while texts are read."""
        ...

    def tuning_gb(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Memory while an adapter is trained."""
        ...
