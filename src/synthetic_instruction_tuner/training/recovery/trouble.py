"""What counts as trouble: out of memory, a loss that is no number or has risen for good, nothing that is learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size

from synthetic_instruction_tuner.errors import RunError

LEAST_STEPS, ENOUGH_ROWS = 3, 32  # that a mean loss is taken over, so that one hard batch means nothing
TIMES, MORE = 2.0, 1.0  # a mean loss above TIMES the first one plus MORE is a divergence
OVERFLOWS = 30  # in a row, with loss scaling; from its start, 2**16, the scale has then come down to nothing
UNLEARNED = 3  # first steps without any gradient that are enough to stop


class Diverged(Exception):
    """A training is on no good way; raised from within, and answered in `loop`.

    Attributes:
        detail: what was seen.
        first_bad: number of the batch whose loss was the first bad one, counted from 0.
        sure: whether the weights are known to be at fault, not the batch.
    """

    def __init__(self, detail: str, first_bad: int, sure: bool) -> None:
        super().__init__(detail)
        self.detail, self.first_bad, self.sure = detail, first_bad, sure


OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What the libraries say of a GPU's memory, or of memory pinned for it, besides raising an error of its own kind."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether a forward or backward pass has failed for want of memory, on a GPU or in main memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error) if isinstance(error, RuntimeError) else ""
    return any(sign in said for sign in OUT_OF_MEMORY) or (
        isinstance(error, Exception) and should_reduce_batch_size(error)
    )


def window(batch_size: int) -> int:
    """Returns how many steps a mean loss is taken over."""
    return max(LEAST_STEPS, math.ceil(ENOUGH_ROWS / batch_size))


def highest_loss(losses: Sequence[float], batch_size: int) -> float | None:
    """Returns the mean loss above which a training has diverged; None before enough steps are done."""
    size = window(batch_size)
    return TIMES * abs(math.fsum(losses[:size]) / size) + MORE if len(losses) >= size else None


def check_number(loss: float, grad_norm: float | None, step: int) -> None:
    """Stops before an update that would make the weights no numbers.

    Args:
        loss: of the step that is being done.
        grad_norm: of its gradients; None where it says nothing, as with loss scaling.
        step: how many steps are done before it.

    Raises:
        Diverged: one of them is not finite.
    """
    seen = {"loss": loss} | ({} if grad_norm is None else {"grad_norm": grad_norm})
    bad = [name for name, value in seen.items() if not math.isfinite(value)]
    if bad:
        raise Diverged(f"not a finite number: {' and '.join(bad)}", step, sure=False)


def check_log(log: Sequence[Mapping[str, Any]], batch_size: int, steps: int, scaled: bool) -> None:
    """Stops a training whose loss has risen for good, whose gradients always overflow, or that has none.

    Args:
        log: the trainer's entries, one per step that is done.
        batch_size: rows per step.
        steps: steps of the whole training.
        scaled: whether losses are scaled (float16), where a gradient may overflow now and then.

    Raises:
        Diverged: the first or the second.
        RunError: the third.
    """
    size, done = window(batch_size), len(log)
    limit = highest_loss([entry["loss"] for entry in log[:size]], batch_size)
    last = [entry["loss"] for entry in log[-size:]]
    if limit is not None and done >= 2 * size and (mean := math.fsum(last) / size) > limit:
        first = next(number for number, loss in enumerate(last, done - size) if loss > limit)
        raise Diverged(f"the loss rose from {log[0]['loss']:.3f} to {mean:.3f}", first, sure=True)
    norms = [entry.get("grad_norm", 1.0) for entry in log[-OVERFLOWS:]]
    if scaled and done >= OVERFLOWS and not any(map(math.isfinite, norms)):
        raise Diverged(f"the gradients overflowed {OVERFLOWS} times in a row", done - OVERFLOWS, sure=True)
    if done == min(UNLEARNED, steps) and not any(norms):
        raise RunError(
            "Nothing is learned: the gradients are zero.",
            f"No trained parameter has had a gradient in the first {done} step{'s' if done > 1 else ''}.",
            "The adapter may be beside layers that the model does not use: see target_modules. With pairs, look "
            "whether the chosen answers differ from the rejected ones.",
        )
