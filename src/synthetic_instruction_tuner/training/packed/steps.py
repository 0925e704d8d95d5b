"""Optimizer steps on packed texts, within TRL's trainers.

The trainer's loop, optimizer, schedule, clipping, scaling and checkpoints stay. Its batches are row numbers. When a
step begins, all its texts are laid out in packs, which are then shared out among the step's batches. The loss is a mean
over the step's trained tokens or pairs, however they are packed: the number of rows per batch decides how much memory a
pack may take, not what is trained, and it may change at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from synthetic_instruction_tuner.training.examples import Example, PairExample
from synthetic_instruction_tuner.training.packed.answer_scores import answer_scores
from synthetic_instruction_tuner.training.packed.choice import limit_of
from synthetic_instruction_tuner.training.packed.decoder import Decoder
from synthetic_instruction_tuner.training.packed.packs import Pack, pack, spread
from synthetic_instruction_tuner.training.run_training import Job

ARGUMENTS = {"gradient_checkpointing": False, "gradient_checkpointing_kwargs": None}
"""Of the trainer: the packed pass does its own checkpointing, and the model's own pass is not used."""


def row_numbers_batch(items: list[dict[str, int]]) -> dict[str, list[int]]:
    """Returns a batch of row numbers, which stay on the CPU."""
    return {"rows": [item["row"] for item in items]}


class PackedStep:
    """Mixed into a TRL trainer, before it.

    Attributes:
        decoder: computes the model.
        job: the training, whose order the row numbers are of.
        longest: positions of the longest text or pair.
        virtual_tokens: in front of each text.
    """

    args: Any
    accelerator: Any
    decoder: Decoder
    job: Job
    longest: int
    virtual_tokens = 0

    def pack_with(self, decoder: Decoder, job: Job, virtual_tokens: int = 0) -> None:
        """Says how the steps of a training are computed."""
        self.decoder, self.job, self.virtual_tokens = decoder, job, virtual_tokens
        self.longest = limit_of(job.data.rows, 1, virtual_tokens)
        self.loss_is_scaled_for_ga = True  # a pack's loss is its share of the step's

    @property
    def limit(self) -> int:
        """Most positions of a pack; a longer text has a pack of its own."""
        return int(self.args.per_device_train_batch_size * self.longest)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the batches of the next step, each with its share of the step's packs."""
        batches, items = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
        rows = [self.job.order[number] for batch in batches for number in batch["rows"]]
        packs = spread(rows, self.limit, self.virtual_tokens)
        for i, batch in enumerate(batches):
            batch["packs"], batch["step"] = _Packs(packs[i :: len(batches)]), _Packs([rows])
        return batches, items

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Returns a batch's share of the step's loss; the gradient of all its packs but the last is already added.

        A batch that belongs to no step is one of its own, and nothing is added.
        """
        if "rows" not in inputs:
            return super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]
        if "packs" not in inputs:
            rows = [self.job.order[number] for number in inputs["rows"]]
            return sum(self.pack_loss(part, rows) for part in spread(rows, self.limit, self.virtual_tokens))
        (rows,), packs = inputs["step"].parts, inputs["packs"].parts
        total, loss = torch.zeros((), device=self.args.device), None
        for part in packs:
            if loss is not None:
                self.accelerator.backward(loss)
                total += loss.detach()
            loss = self.pack_loss(part, rows)
        return total + (_nothing(model) if loss is None else loss)

    def scores(self, part: Sequence[Example | PairExample]) -> tuple[Pack, torch.Tensor]:
        """Returns texts packed, and the log-probability of each trained token, [scored]."""
        packed = pack(part, self.virtual_tokens).to(self.args.device)
        return packed, answer_scores(self.decoder.hidden(packed), self.decoder.head.weight, packed.targets)

    def pack_loss(self, part: Sequence[Any], rows: Sequence[Any]) -> torch.Tensor:
        """Returns a pack's share of the step's loss: minus the mean log-probability of the step's trained tokens."""
        count = sum(sum(row.trained[0 if self.virtual_tokens else 1 :]) for row in rows)
        return -self.scores(part)[1].sum() / count


class _Packs:
    """Rows of several packs, which pass through the trainer unseen."""

    def __init__(self, parts: list[list[Any]]) -> None:
        self.parts = parts


def _nothing(model: Any) -> torch.Tensor:
    """Returns 0 as a loss, for a batch whose texts are all in other batches' packs."""
    zero: torch.Tensor = next(p for p in model.parameters() if p.requires_grad).flatten()[0] * 0
    return zero
