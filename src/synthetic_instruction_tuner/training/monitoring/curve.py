"""What the curve of a training shows when it is done: that nothing was learned, or that both answers became unlikely.

These are warnings. The adapter is what the settings ask for; the settings may not be what the user wants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import stdev

ENOUGH, LEAST = 6, 3  # steps: of a training, and of a part of it that is compared
FALLEN = 0.002  # of the first losses: less is no learning
SURE = 2.0  # standard errors


def warnings(steps: Sequence[Mapping[str, float]]) -> list[str]:
    """Returns what the user should know of a finished training.

    Args:
        steps: the figures of each step, under the names of the log file.
    """
    found = (flat_loss(steps), both_fell(steps))
    return [text for text in found if text]


def flat_loss(steps: Sequence[Mapping[str, float]]) -> str | None:
    """Returns a warning if the last third of the losses is not below the first one, or None."""
    if len(steps) < ENOUGH:
        return None
    size = len(steps) // 3
    first, last = (_mean([step["loss"] for step in part]) for part in (steps[:size], steps[-size:]))
    if last < first - FALLEN * abs(first):
        return None
    rate = max(step["learning_rate"] for step in steps)
    return (
        f"the loss did not fall: {first:.3f} in the first third of the steps, {last:.3f} in the last; raise "
        f"learning_rate (at most {rate:g} was used) or train longer, and look at the data"
    )


def both_fell(steps: Sequence[Mapping[str, float]]) -> str | None:
    """Returns a warning if preference tuning has made the chosen answers less likely too, or None.

    Rewards are beta times the gain in log-probability over the reference, so their sign tells it whatever the batch is.
    """
    size = max(LEAST, len(steps) // 5)
    last = [step for step in steps[-size:] if "chosen_reward" in step and "rejected_reward" in step]
    if len(last) < LEAST:
        return None
    chosen, rejected = ([step[f"{side}_reward"] for step in last] for side in ("chosen", "rejected"))
    if _surely_below_zero(chosen) and _surely_below_zero(rejected):
        return (
            f"both answers became less likely than they were: rewards {_mean(chosen):.2f} (chosen) and "
            f"{_mean(rejected):.2f} (rejected) in the last {len(last)} steps; raise train.dpo.sft_weight or "
            "train.dpo.beta, or lower the learning rate"
        )
    return None


def _surely_below_zero(values: Sequence[float]) -> bool:
    return _mean(values) < -SURE * stdev(values) / math.sqrt(len(values))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
