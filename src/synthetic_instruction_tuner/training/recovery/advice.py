"""What is said of a training that cannot go on: what was tried, and what to set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.training.recovery.events import Recovery, learning_rate_factor
from synthetic_instruction_tuner.training.recovery.trouble import Diverged

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.run_training import Job

NAMED = 4  # rows of a batch


def out_of_memory(job: Job) -> RunError:
    """Returns the error for a training that has too little memory even for one row at a time."""
    config = job.config
    ways = [] if config.gradient_checkpointing else ["set gradient_checkpointing: true"]
    ways += [f"lower max_length (now {config.max_length})", "hold the model in 4 bits", "use a smaller model"]
    return RunError(
        "There is not enough memory to train, even with one row at a time.",
        f"{job.model.name} ran out of memory with one row of at most {config.max_length} tokens "
        f"({max(row.tokens for row in job.order):,} in the longest row).",
        f"{ways[0][0].upper()}{ways[0][1:]}, or {', or '.join(ways[1:])}. Finished checkpoints are kept.",
    )


def diverged(job: Job, trainer: Any, trouble: Diverged, tried: Sequence[Recovery], blamed: int) -> RunError:
    """Returns the error for a training that has diverged too often.

    Args:
        job: the training.
        trainer: its trainer.
        trouble: what was seen last.
        tried: what was recovered from before.
        blamed: the number of the batch whose update, or whose rows, seem to be at fault.
    """
    rate = job.config.learning_rate
    batches = sorted({blamed, *(one.skipped for one in tried if one.skipped is not None)})
    rates = ", ".join(f"{rate * factor:g}" for factor in [1.0, *(one.learning_rate for one in tried)])
    first = [row.id for row in job.order[blamed * job.batch_size :][: min(NAMED, job.batch_size)]]
    now = rate * learning_rate_factor(trainer.recoveries)
    if trouble.first_bad == 0:
        fix = "Already the first loss was bad: try engine.dtype float32 or bfloat16, and check the model's files."
    elif len(batches) > 1 and not trouble.sure and not any(one.back_to < one.step - 1 for one in tried):
        fix = f"The weights were good each time, so look at these rows: {', '.join(first)}. Or lower learning_rate."
    else:
        fix = f"Lower learning_rate below {now:g}, or raise warmup_ratio (now {job.config.warmup_ratio:g})."
    return RunError(
        f"Training diverged at step {trouble.first_bad + 1}"
        + (f", after {len(tried)} new attempts." if tried else "."),
        f"{trouble.detail[0].upper()}{trouble.detail[1:]}. Learning rates tried: {rates}; batches to blame: "
        f"{', '.join(str(number + 1) for number in batches)}.",
        fix,
    )
