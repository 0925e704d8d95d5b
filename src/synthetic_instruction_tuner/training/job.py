"""One adapter's training as a value: what, on what, how and where."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig, TrainerConfig, fingerprint
from synthetic_instruction_tuner.training.examples import Example, PairExample, Tokenized, training_order
from synthetic_instruction_tuner.training.workspace import Workspace

WITHOUT_EFFECT = {
    "save_steps",
    "logging_steps",
    "gradient_checkpointing",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
}
"""Settings that do not change what a training comes to; of the last two only the product counts."""


@dataclass(frozen=True, slots=True)
class Job:
    """One adapter's training: what, on what, how and where.

    Attributes:
        method: the method's name in the metrics.
        model: the base model.
        config: the method's settings.
        seed: fixes initialization, order and dropout.
        device: ``cpu`` or ``cuda``.
        dtype: the type of the base model's weights; the adapter is always float32.
        data: the tokenized rows.
        workspace: the training's folder.
        order: the rows in the order in which they are trained on, over all epochs.
    """

    method: str
    model: ModelConfig
    config: TrainerConfig
    seed: int
    device: str
    dtype: str
    data: Tokenized[Any]
    workspace: Workspace
    order: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.data.rows
        lengths = [row.tokens for row in rows]
        order = training_order(lengths, self.config.num_train_epochs, self.batch_size, self.seed)
        object.__setattr__(self, "order", [rows[i] for i in order])

    @property
    def batch_size(self) -> int:
        """Rows per optimizer step."""
        return self.config.per_device_train_batch_size * self.config.gradient_accumulation_steps


def job_fingerprint(
    method: str,
    model: ModelConfig,
    config: TrainerConfig,
    seed: int,
    device: str,
    dtype: str,
    rows: Sequence[Example | PairExample],
    *more: str,
) -> str:
    """Returns a hash of what decides a training's outcome.

    The logging and saving intervals do not, nor how a step's rows are split into micro-batches: after running out of
    memory, a smaller per_device_train_batch_size with more gradient_accumulation_steps continues the same training.
    """
    size = config.per_device_train_batch_size * config.gradient_accumulation_steps
    settings = config.model_dump(exclude=WITHOUT_EFFECT) | {"batch_size": size}
    return fingerprint(method, model, settings, seed, device, dtype, data_digest(rows), *more)


def data_digest(rows: Sequence[Example | PairExample]) -> str:
    """Returns a hash of tokenized rows and their order, one row in memory at a time."""
    digest = hashlib.sha256()
    for row in rows:
        for example in (row,) if isinstance(row, Example) else (row.chosen, row.rejected):
            digest.update(json.dumps([example.id, example.ids]).encode() + bytes(example.trained))
    return digest.hexdigest()
