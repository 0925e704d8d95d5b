"""DPO on packed pairs: each prompt is read once for both answers, and TRL computes the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl.trainer.utils import FusedCausalLMOutput

from synthetic_instruction_tuner.training.examples import PairExample, dpo_batch
from synthetic_instruction_tuner.training.packed.packs import spread
from synthetic_instruction_tuner.training.packed.steps import PackedStep


class PackedPairs(PackedStep):
    """Mixed into a TRL preference trainer, before it."""

    reference: dict[str, tuple[float, float]]
    """By pair: the log-probabilities of the chosen and the rejected answer under the reference, in nats."""

    sizes: tuple[int, ...] = ()  # of the step's packs so far, in pairs

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the batches of the next step."""
        self.sizes = ()
        return super().get_batch_samples(*args, **kwargs)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Logs a step; what TRL has noted for each pack becomes a mean over the step's pairs."""
        noted = self._metrics["train"]  # type: ignore[attr-defined]
        for name, values in noted.items():
            if len(values) == len(self.sizes):
                noted[name] = [sum(v * n for v, n in zip(values, self.sizes, strict=True)) / sum(self.sizes)]
        super().log(logs, *args, **kwargs)  # type: ignore[misc]

    def pack_loss(self, part: Sequence[PairExample], rows: Sequence[PairExample]) -> torch.Tensor:
        """Returns a pack's share of the step's loss, which is a mean over its pairs."""
        packed, scores = self.scores(part)
        batch = {name: tensor.to(scores.device) for name, tensor in dpo_batch(part).items()}
        for side, name in enumerate(("ref_chosen_logps", "ref_rejected_logps")):
            batch[name] = torch.tensor([self.reference[p.id][side] for p in part], device=scores.device)
        mask = batch["completion_mask"][:, 1:].bool()
        order = _in_trls_order(packed.texts, packed.count)

        def model(**_: object) -> FusedCausalLMOutput:
            log_probs = torch.zeros(mask.shape, device=scores.device).masked_scatter(mask, scores[order])
            unread = torch.zeros_like(log_probs)
            return FusedCausalLMOutput(
                log_probs=log_probs, entropy=unread, mean_logits=unread, is_top1=unread.bool(), label_mask=mask
            )

        self.sizes = (*self.sizes, len(part))
        return self.compute_loss(model, batch) * (len(part) / len(rows))

    def _share_of_step(self, loss: torch.Tensor, pairs: int) -> torch.Tensor:
        return loss  # `pack_loss` weights it

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def answer_logps(self, pairs: Sequence[PairExample]) -> torch.Tensor:
        """Returns the log-probabilities of the chosen and rejected answers, [2, pairs], packed as in training."""
        found: dict[str, tuple[float, float]] = {}
        for part in spread(pairs, self.limit):
            packed, scores = self.scores(part)
            order = _in_trls_order(packed.texts, packed.count)
            batch = dpo_batch(part)
            mask = batch["completion_mask"][:, 1:].bool().to(scores.device)
            # summed as TRL sums them in training, so that the first loss is ln 2
            sums = torch.zeros(mask.shape, device=scores.device).masked_scatter(mask, scores[order]).sum(1).tolist()
            found |= {pair.id: (sums[i], sums[i + len(part)]) for i, pair in enumerate(part)}
        return torch.tensor([found[pair.id] for pair in pairs]).T


def _in_trls_order(texts: torch.Tensor, count: int) -> torch.Tensor:
    """Returns the places of scores, those of all chosen answers first; in a pack both of a pair follow each other."""
    return (texts % 2 * count + texts // 2).argsort(stable=True)
