"""Log-probabilities of next tokens from hidden states, without ever holding all logits.

The vocabulary has 128 thousand tokens, so the logits of a few thousand tokens are larger than the model. They are made
a slice at a time. The slope of each log-probability against its hidden state is taken from the slice at once, as
Liger-Kernel does (arXiv:2410.10989), so that nothing is computed again in the backward pass, whatever the loss is.
"""

from __future__ import annotations

from typing import Any

import torch

from synthetic_instruction_tuner.models.working_memory import LOGITS_AT_ONCE
from synthetic_instruction_tuner.training.packed.kernels import in_float32

_UNDERFLOW = 1024.0  # keeps small probabilities above the smallest number of float16


def answer_scores(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Returns the log-probability of each target in float32, in nats, [scored].

    Args:
        hidden: the last hidden states, [scored, width].
        head: the frozen output layer's weights, [vocabulary, width], of the same type.
        targets: token ids, [scored].
    """
    scores: torch.Tensor = _AnswerScores.apply(hidden, head, targets)
    return scores


class _AnswerScores(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        size, slope = max(1, LOGITS_AT_ONCE // len(head)), ctx.needs_input_grad[0]
        scale = _UNDERFLOW if hidden.dtype == torch.float16 else 1.0
        scores = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if slope else None
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            wanted = targets[part, None]
            logps = torch.log_softmax(in_float32(hidden[part], head.T), -1)  # [slice, vocabulary]
            scores[part] = logps.gather(1, wanted)[:, 0]
            if slopes is not None:
                chances = logps.exp_()
                chances.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=chances.dtype))
                if scale != 1.0:
                    chances.mul_(scale)
                torch.mm(chances.to(head.dtype), head, out=slopes[part])
        if slopes is not None:
            ctx.save_for_backward(slopes)
            ctx.scale = scale
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return ((-gradient / ctx.scale)[:, None] * slopes).to(slopes.dtype), None, None
