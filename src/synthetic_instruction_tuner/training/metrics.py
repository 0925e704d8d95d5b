"""Cost and outcome of training one adapter."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch

RARE = {
    "quantized",
    "packed",
    "energy_wh",
    "loss_type",
    "warnings",
    "recoveries",
}  # left out of the file where there is nothing to say


@dataclass(frozen=True, slots=True)
class TrainingMetrics:
    """Cost and outcome of one training.

    Attributes:
        method: ``sft``, ``prompt_tuning`` or ``dpo``.
        student: the base model's short name.
        seconds: time in training steps and checkpoints, loading not counted; added up over resumed runs.
        tokens: tokens read, padding and virtual tokens not counted; for DPO both answers, without the reference pass.
        trained_tokens: how many of them the loss counted.
        tokens_per_second: tokens / seconds.
        peak_memory_gb: largest GPU memory allocated, in GB of 1e9 bytes; on a CPU the process's largest resident size.
        trainable_parameters: parameters of the adapter.
        total_parameters: parameters of base model and adapter.
        steps: optimizer steps.
        epochs: passes over the examples.
        examples: rows trained on in each epoch.
        truncated: rows that were cut to max_length.
        dropped: rows left without a token to train on; not among the examples.
        first_loss: loss of the first step, before any update; a mean over trained tokens, for DPO over pairs
            (what `sft_weight` adds is left out).
        final_loss: mean loss of the last tenth of the steps.
        seed: the training's seed.
        device: ``cpu`` or the GPU's name.
        dtype: the type of the base model's weights; of a quantized one the type that computes.
        adapted: the modules that LoRA adapts, by the last part of their names; none in prompt tuning.
        adapted_layers: how many modules that are, in all layers.
        quantized: how the base model's linear layers are held, such as ``nf4``; "" where they are not quantized.
        packed: the attention over packed texts, such as ``flash``; "" where texts were trained in padded batches.
        energy_wh: energy of the GPU in that time, in Wh; 0 where it is not measured.
        loss_type: TRL's name of the loss on pairs, where it is not ``sigmoid``; "" otherwise.
        warnings: what the curve shows that the user should know.
        recoveries: what the training has recovered from (`recovery.events.Recovery`), in order.
    """

    method: str
    student: str
    seconds: float
    tokens: int
    trained_tokens: int
    tokens_per_second: float
    peak_memory_gb: float
    trainable_parameters: int
    total_parameters: int
    steps: int
    epochs: float
    examples: int
    truncated: int
    dropped: int
    first_loss: float
    final_loss: float
    seed: int
    device: str
    dtype: str
    adapted: list[str] = field(default_factory=list)
    adapted_layers: int = 0
    quantized: str = ""
    packed: str = ""
    energy_wh: float = 0.0
    loss_type: str = ""
    warnings: list[str] = field(default_factory=list)
    recoveries: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_json` makes equal metrics."""
        return {name: value for name, value in asdict(self).items() if value or name not in RARE}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingMetrics:
        """Returns the metrics that `to_json` wrote."""
        return cls(**data)


def device_name(device: str) -> str:
    """Returns ``cpu`` or the GPU's name."""
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
