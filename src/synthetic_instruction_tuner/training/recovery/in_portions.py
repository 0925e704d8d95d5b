"""Work on rows in portions that get smaller where memory does not last for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.models.memory import release
from synthetic_instruction_tuner.training.recovery.advice import out_of_memory
from synthetic_instruction_tuner.training.recovery.trouble import is_out_of_memory

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.run_training import Job


def in_portions(job: Job, count: int, size: int, work: Callable[[slice], None]) -> int:
    """Does the work on all of `count` rows, in their order, and returns how many it did at once in the end.

    Args:
        job: the training that it belongs to, for the message.
        count: rows to work on.
        size: how many at once; halved when memory does not last for it.
        work: on a portion of the rows; done again on a smaller one, it does the same.

    Raises:
        RunError: memory does not last for one row.
    """
    start = 0
    while start < count:
        try:
            work(slice(start, start + size))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise out_of_memory(job) from error
        else:
            start += size
            continue
        size //= 2
        job.workspace.note(f"{job.model.name}: out of memory; it goes on with {size} rows at once")
        release()
    return size
