"""Watching a training: time, memory, progress, and the log that is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from synthetic_instruction_tuner.models.peak_memory import begin_inner_peak, inner_peak_memory_gb
from synthetic_instruction_tuner.training.files.sealed_folder import facts
from synthetic_instruction_tuner.training.monitoring.energy import EnergyMeter
from synthetic_instruction_tuner.training.monitoring.pace import Pace
from synthetic_instruction_tuner.training.recovery.trouble import check_log

OnStep = Callable[[int, int, dict[str, float]], None]
"""Called after each step with the step, the number of steps, and the step's loss and other figures.

Besides those of the log they are ``tokens_per_second``, over the last steps, and ``peak_memory_gb``.
"""

LOGGED = {
    "loss": "loss",
    "preference_loss": "loss",  # overrides the sum: of a DPO loss with two parts, the one that starts at ln 2 is shown
    "sft_loss": "sft_loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "rewards/chosen": "chosen_reward",
    "rewards/rejected": "rejected_reward",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "logps/chosen": "chosen_logps",
    "logps/rejected": "rejected_logps",
}
"""What TRL calls a figure, and its name in the log file."""


class Clock:
    """Seconds spent training, peak memory, and the GPU's energy, added up over interrupted runs."""

    def __init__(self, device: str, checkpoint: Path | None) -> None:
        before = facts(checkpoint) if checkpoint else {"seconds": 0.0, "peak_memory_gb": 0.0}
        self.device, self.seconds, self.peak = device, before["seconds"], before["peak_memory_gb"]
        self.start = time.perf_counter()
        self.energy, self.meter = before.get("energy_wh", 0.0), EnergyMeter(device)
        begin_inner_peak()

    def facts(self) -> dict[str, float]:
        """Returns the figures as of now; the energy where it is measured."""
        seconds = self.seconds + time.perf_counter() - self.start
        found = {"seconds": seconds, "peak_memory_gb": max(self.peak, inner_peak_memory_gb(self.device))}
        used = self.meter.wh()
        known = self.energy + (used or 0.0)
        return found | {"energy_wh": known} if used is not None or known else found


class Watch(TrainerCallback):  # type: ignore[misc]
    """Passes each step on to the caller, and looks whether the training is still on a good way."""

    def __init__(self, trainer: Any, on_step: OnStep | None, batch_size: int, tokens: Sequence[int]) -> None:
        self.trainer, self.on_step, self.batch_size = trainer, on_step, batch_size
        self.pace = Pace(tokens)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: object) -> None:
        """Runs after every update."""
        self.trainer.step_done()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: object) -> None:
        """Runs after every step."""
        if "loss" not in logs:
            return
        check_log(state.log_history, self.batch_size, state.max_steps, scaled=args.fp16)
        if self.on_step:
            self.on_step(state.global_step, state.max_steps, figures(logs) | self._measured(state.global_step))

    def _measured(self, step: int) -> dict[str, float]:
        """Returns the pace and the memory, which belong on the screen and not in the log."""
        pace, memory = self.pace.after(step), inner_peak_memory_gb(self.trainer.clock.device)
        return {"peak_memory_gb": memory} | ({} if pace is None else {"tokens_per_second": pace})


def figures(entry: dict[str, Any]) -> dict[str, float]:
    """Returns the figures of a trainer's log entry, under the names of the log file."""
    return {new: entry[old] for old, new in LOGGED.items() if old in entry}


def mean(window: list[dict[str, Any]], key: str) -> float:
    """Returns the mean of one figure over logged steps."""
    return math.fsum(entry[key] for entry in window) / len(window)
