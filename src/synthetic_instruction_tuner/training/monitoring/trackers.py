"""Trackers that a training reports to because the user has asked for it: TensorBoard, W&B, MLflow, trackio.

The callbacks are Transformers' own; what they log has TRL's names. Their own settings come from their own environment
variables, such as WANDB_PROJECT, MLFLOW_TRACKING_URI and TENSORBOARD_LOGGING_DIR.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import UserError

FOLDER = "tensorboard"  # beside the adapter


def require_trackers(names: Sequence[str]) -> None:
    """Stops where a tracker is not installed.

    Args:
        names: the setting ``train.report_to``; each is the name of a package.

    Raises:
        UserError: with those that are missing.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UserError(
            f"train.report_to names {', '.join(missing)}, which is not installed.",
            "Trackers are no part of the package's own requirements.",
            f'Run pip install "synthetic-instruction-tuner[tracking]" (or only {" ".join(missing)}), or leave it out.',
        )


def keep_beside_adapter(trainer: Any, output: Path) -> None:
    """Lets TensorBoard write beside the adapter: by itself it would write among the checkpoints, which are removed."""
    for callback in trainer.callback_handler.callbacks:
        if type(callback).__name__ == "TensorBoardCallback" and callback.logging_dir is None:
            callback.logging_dir = str(output / FOLDER)
