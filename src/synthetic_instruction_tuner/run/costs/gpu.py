"""Costs on a GPU: the floors of the card (bytes over its bandwidth, FLOP over its arithmetic), and what is reached.

The shares were fitted to measurements on an H100 and an H200 (`tests/run/costs/measured.py`, docs/planning.md). They
carry over to other cards because the floors are the cards' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.number_format import RESERVE_GB, NumberFormat, weights_gb
from synthetic_instruction_tuner.models.sizes.decoding_memory import Division, divided, running_rows
from synthetic_instruction_tuner.models.working_memory import (
    GB,
    activation_bytes,
    decoding_gb,
    scoring_gb,
    text_bytes,
    tuning_gb,
)
from synthetic_instruction_tuner.run.costs.cards import Card
from synthetic_instruction_tuner.run.costs.work import Reading, Texts, Tuning

BANDWIDTH_SHARE = 0.82  # of the data sheet, in reading weights, keys and values
DECODING_FLOPS, READING_FLOPS, TUNING_FLOPS = 0.7, 0.64, 0.4  # of the data sheet
SINGLE_FLOPS = 0.06  # the same in float32, as small reward models compute
PAIR, HEAD = 32, 64  # bytes per head and pair of tokens of attention that keeps all scores, and the width of a head
GRAPH_LAYER = {"transformers": 1.1e-4, "vllm": 1.0e-4}  # seconds of a step per layer, in a CUDA graph
PASS_LAYER = 6e-4  # seconds of a forward pass per layer, launched one by one
TUNING_LAYER = 6e-3  # seconds of forward and backward pass per layer, at least
PADDED = 1.7  # times the mean prompt: what a row takes while prompts of unequal length are read together
ADMITTED = 8  # the engine reads new prompts when this part of its rows is free
MOVED = 62  # times that the kept activations cross the memory in forward and backward pass, all small operations
DEQUANTIZED = 9  # bytes that a weight in 4 bits moves each time it is brought to 16
DISK = 1e9  # bytes/s that a model is loaded with


@dataclass(frozen=True, slots=True)
class GpuCosts:
    """What work costs on a card."""

    card: Card

    def load(self, size: ModelShape) -> float:
        """Seconds to load a model."""
        return 0.3 + size.parameters * 2 / DISK

    def write(self, size: ModelShape, held: NumberFormat, texts: Texts, engine: str) -> float:
        """Seconds to write texts: rows leave and enter as texts end, and the last ones run alone."""
        if not texts.rows:
            return 0.0
        slots, calls = self.at_once(size, held, texts), ceil(texts.rows / texts.call)
        rows = min(texts.call, texts.rows)
        steps = texts.length * (rows / slots - 1) + texts.limit
        running = rows * texts.length / steps
        prompts = texts.prompt * (1 if texts.equal_prompts else rows)
        admissions = 1 + max(0, rows - slots) * ADMITTED / slots
        read = self.read(size, held, Reading(prompts, admissions, prompts))
        step = self._step(size, held, running, texts.prompt + texts.length / 2, engine)
        return (steps * step + read) * calls * (texts.rows / (calls * rows))

    def _step(self, size: ModelShape, held: NumberFormat, rows: float, length: float, engine: str) -> float:
        """Seconds until each of the running rows has one more token."""
        bandwidth = BANDWIDTH_SHARE * self.card.bandwidth
        weights = weights_gb(size, held.weights, held.compute) * GB / bandwidth
        arithmetic = rows * 2 * size.parameters / (DECODING_FLOPS * self.card.flops)
        cache = rows * length * size.layers * size.kv_width * 2 / bandwidth
        launched = size.layers * GRAPH_LAYER.get(engine, GRAPH_LAYER["transformers"])
        return launched + max(weights, arithmetic) + cache + self._dequantizing(size, held)

    def _dequantizing(self, size: ModelShape, held: NumberFormat) -> float:
        """Seconds to bring all weights from 4 bits to 16 once."""
        if not held.quantized:
            return 0.0
        return DEQUANTIZED * (size.parameters - size.unquantized) / self.card.bandwidth

    def read(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Seconds to read texts once."""
        share = SINGLE_FLOPS if held.weights == "float32" else READING_FLOPS
        arithmetic = 2 * size.parameters * reading.tokens / (share * self.card.flops)
        return arithmetic + reading.passes * (size.layers * PASS_LAYER + self._dequantizing(size, held))

    def tune(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Seconds to train an adapter: the base has no gradient, so a backward pass is as long as a forward pass."""
        forward = 2 * size.parameters / (TUNING_FLOPS * self.card.flops)
        moved = MOVED * size.layers * activation_bytes(size, tuning.tuned) / self.card.bandwidth
        again = int(tuning.checkpointing)
        computed = tuning.tokens * (forward * (2 + again) + moved * (1 + again / 3))
        computed += tuning.read_once * (forward + moved / 3)
        dequantized = tuning.micro_batches * (2 + again) * self._dequantizing(size, held)
        return 2 + max(computed, tuning.micro_batches * size.layers * TUNING_LAYER) + dequantized

    def writing_gb(self, size: ModelShape, held: NumberFormat, texts: Texts) -> float:
        """Memory while texts are written by the transformers engine."""
        weights = self._weights(size, held)
        free = self.card.memory_gb - weights
        prompt = 0.0 if texts.equal_prompts else PADDED * texts.prompt
        places = self._divided(size, held, texts).rows
        return weights + decoding_gb(size, places, texts.longest, free_gb=free, prompt=prompt)

    def at_once(self, size: ModelShape, held: NumberFormat, texts: Texts) -> int:
        """Texts that are written at once: as many as the engine has places and pages for."""
        return running_rows(self._divided(size, held, texts), text_bytes(size), texts.prompt, texts.length)

    def _divided(self, size: ModelShape, held: NumberFormat, texts: Texts) -> Division:
        """Returns how decoding divides what is free beside the weights."""
        free = self.card.memory_gb - self._weights(size, held)
        return divided(free * GB, text_bytes(size), texts.slots, texts.together)

    def reading_gb(self, size: ModelShape, held: NumberFormat, reading: Reading) -> float:
        """Memory while texts are read."""
        scores = (
            reading.at_once * reading.longest * size.hidden / HEAD * PAIR / GB if held.weights == "float32" else 0.0
        )
        return self._weights(size, held) + scoring_gb(size, reading.at_once) + scores

    def tuning_gb(self, size: ModelShape, held: NumberFormat, tuning: Tuning) -> float:
        """Memory while an adapter is trained."""
        options = (tuning.tuned, tuning.rank, held.quantized)
        return self._weights(size, held) + tuning_gb(size, tuning.largest, tuning.checkpointing, 2, *options)

    @staticmethod
    def _weights(size: ModelShape, held: NumberFormat) -> float:
        return RESERVE_GB + weights_gb(size, held.weights, held.compute)
