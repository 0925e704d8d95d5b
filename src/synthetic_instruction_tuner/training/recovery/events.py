"""What a training has recovered from, and what follows from it for the rest of the training.

Recoveries are kept in the seals of checkpoints, so that a training that is killed afterwards goes on in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from synthetic_instruction_tuner.training.files.sealed_folder import facts

Reason = Literal["out of memory", "diverged"]
KEY = "recoveries"  # in the facts of a checkpoint, and in the metrics
LOWERED = 0.5  # what a recovery from divergence multiplies the learning rate with


@dataclass(frozen=True, slots=True)
class Recovery:
    """One trouble, and how the training went on.

    Attributes:
        reason: ``out of memory`` or ``diverged``.
        step: the optimizer step in which it was found, counted from 1.
        back_to: how many steps were done in the state that training went on from.
        micro_batch: rows per forward pass from then on.
        learning_rate: what the learning rate is multiplied with from then on.
        skipped: number of the batch that is left out, counted from 0 in the training's order; None: none is.
        detail: what was seen, in words.
    """

    reason: Reason
    step: int
    back_to: int
    micro_batch: int
    learning_rate: float = 1.0
    skipped: int | None = None
    detail: str = ""


def kept_in(checkpoint: Path | None) -> list[Recovery]:
    """Returns what a training had recovered from when it wrote this checkpoint."""
    return [] if checkpoint is None else [Recovery(**entry) for entry in facts(checkpoint).get(KEY, [])]


def as_facts(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """Returns recoveries as facts to keep; none of them leave no trace."""
    return {KEY: [asdict(one) for one in recoveries]} if recoveries else {}


def micro_batch(recoveries: Sequence[Recovery], size: int) -> int:
    """Returns the rows per forward pass: what the settings say, or less where memory did not last for it."""
    return min([size, *(one.micro_batch for one in recoveries)])


def smaller(size: int, batch_size: int) -> int | None:
    """Returns the next smaller micro-batch: half as many rows, or the next number that divides the global batch.

    Args:
        size: rows per forward pass now.
        batch_size: rows per optimizer step, which stays what it is.
    """
    return next((rows for rows in range(size // 2, 0, -1) if batch_size % rows == 0), None)


def learning_rate_factor(recoveries: Sequence[Recovery]) -> float:
    """Returns what the settings' learning rate is multiplied with."""
    return recoveries[-1].learning_rate if recoveries else 1.0


def skipped_batches(recoveries: Sequence[Recovery]) -> set[int]:
    """Returns the numbers of the batches that are left out."""
    return {one.skipped for one in recoveries if one.skipped is not None}
