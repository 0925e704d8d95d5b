"""Optimizer steps on packed texts, within TRL's trainers: a whole step is one batch of the trainer.

The trainer's own loop, optimizer, schedule, clipping, scaling and checkpoints stay. Here a step's texts are laid out in
packs, and each pack's gradient is added. The loss is a mean over the step's trained tokens or pairs, however they are
packed. `limit` may change between steps, or when a step is tried again: it decides memory, not the result.
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


class PackedStep:
    """Mixed into a TRL trainer, before it: its batches are row numbers, and a step is packed.

    Attributes:
        decoder: computes the model.
        order: the rows in training order, which batches number.
        limit: most tokens of a pack, virtual ones counted; a longer text has a pack of its own.
        virtual_tokens: in front of each text.
    """

    decoder: Decoder
    order: Sequence[Any]
    limit: int
    virtual_tokens = 0

    def pack_with(self, decoder: Decoder, job: Job, virtual_tokens: int = 0) -> None:
        """Says how the steps of a training are computed."""
        self.decoder, self.order, self.virtual_tokens = decoder, job.order, virtual_tokens
        self.limit = limit_of(job.data.rows, job.config.per_device_train_batch_size, virtual_tokens)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: object = None) -> torch.Tensor:
        """Adds the gradient of a step's loss, and returns the loss."""
        model.train()
        rows = [self.order[i] for i in inputs["rows"]]
        total = torch.zeros((), device=self.args.device)  # type: ignore[attr-defined]
        for part in spread(rows, self.limit, self.virtual_tokens):
            loss = self.pack_loss(part, rows)
            self.accelerator.backward(loss)  # type: ignore[attr-defined]
            total += loss.detach()
        return total

    def scores(self, part: Sequence[Example | PairExample]) -> tuple[Pack, torch.Tensor]:
        """Returns texts packed, and the log-probability of each trained token, [scored]."""
        packed = pack(part, self.virtual_tokens).to(self.args.device)  # type: ignore[attr-defined]
        return packed, answer_scores(self.decoder.hidden(packed), self.decoder.head.weight, packed.targets)

    def pack_loss(self, part: Sequence[Any], rows: Sequence[Any]) -> torch.Tensor:
        """Returns a pack's share of the step's loss: minus the mean log-probability of the step's trained tokens."""
        count = sum(sum(row.trained[0 if self.virtual_tokens else 1 :]) for row in rows)
        return -self.scores(part)[1].sum() / count


def row_numbers_batch(items: list[dict[str, int]]) -> dict[str, list[int]]:
    """Returns a batch of row numbers, which stay on the CPU."""
    return {"rows": [item["row"] for item in items]}
