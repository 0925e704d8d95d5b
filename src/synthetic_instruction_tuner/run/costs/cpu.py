"""Costs on a CPU, in float32: a roofline per forward pass, fitted to runs of the embedded models.

A pass takes the larger of arithmetic and reading the weights, and a fixed time per layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.models.sizes.decoding_memory import CPU_ROWS
from synthetic_instruction_tuner.models.working_memory import FULL_WIDTH, GB, decoding_gb, scoring_gb, tuning_gb
from synthetic_instruction_tuner.run.costs.work import Reading, Texts, Tuning

CORE_FLOPS, CORE_BANDWIDTH, CORE_LAYER_SECONDS = 2.2e10, 6e9, 1.1e-3  # of one core, as models reach it
DISK = 1e9  # bytes/s that a model is loaded with
LONGEST = 1.35  # of the mean length: a batch lasts as long as its longest text
BASE_GB = 0.6  # the interpreter and its libraries


@dataclass(frozen=True, slots=True)
class CpuCosts:
    """What work costs on this many cores."""

    flops: float
    bandwidth: float
    layer_seconds: float

    @classmethod
    def of(cls, hardware: Hardware) -> CpuCosts:
        """Returns the costs on a machine."""
        cores = max(1, min(hardware.cores, 16))
        # Tiny models do not fill more than a few cores: the fixed time per layer does not shrink with them.
        return cls(CORE_FLOPS * cores, CORE_BANDWIDTH * min(cores, 4), CORE_LAYER_SECONDS / min(cores, 2))

    def load(self, size: ModelShape) -> float:
        """Seconds to load a model."""
        return 0.3 + size.parameters * 2 / DISK

    def write(self, size: ModelShape, held: NumberFormat, texts: Texts, engine: str) -> float:
        """Seconds to write texts."""
        passes = texts.rows / self.at_once(size, held, texts) * texts.length * LONGEST
        return self._forward(size, texts.rows * texts.length, passes) if texts.rows else 0.0

    def at_once(self, size: ModelShape, held: NumberFormat, texts: Texts) -> int:
        """Texts that are written at once."""
        return max(1, min(CPU_ROWS if texts.slots == "auto" else texts.slots, texts.together))

    def read(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Seconds to read texts once."""
        return self._forward(size, reading.tokens, reading.passes)

    def tune(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Seconds to train an adapter; the backward pass takes as long as the forward pass, and launches more."""
        again = 4 / 3 if tuning.checkpointing else 1
        tokens = (tuning.tokens + tuning.read_once / 3) * again
        return 2 + 2 * self._forward(size, tokens, 1.6 * tuning.micro_batches)

    def writing_gb(self, size: ModelShape, held: NumberFormat, texts: Texts) -> float:
        """Memory while texts are written."""
        work = decoding_gb(size, self.at_once(size, held, texts), texts.longest, FULL_WIDTH)
        return BASE_GB + size.parameters * FULL_WIDTH / GB + work

    def reading_gb(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Memory while texts are read."""
        return BASE_GB + size.parameters * FULL_WIDTH / GB + scoring_gb(size, reading.at_once, FULL_WIDTH)

    def tuning_gb(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Memory while an adapter is trained."""
        work = tuning_gb(size, tuning.largest, tuning.checkpointing, FULL_WIDTH)
        return BASE_GB + size.parameters * FULL_WIDTH / GB + work

    def _forward(self, size: ModelShape, tokens: float, passes: float) -> float:
        arithmetic = 2 * size.parameters * tokens / self.flops
        reading = size.parameters * FULL_WIDTH * passes / self.bandwidth
        return max(arithmetic, reading) + size.layers * self.layer_seconds * passes
