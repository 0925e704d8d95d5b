"""Trains one student with one method: the place where a method's name meets the code that trains it.

metrics = train_student(config, method("sft"), student, records, Path("models/sft/student"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.methods import Method

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.files.workspace import OnNote
    from synthetic_instruction_tuner.training.metrics import TrainingMetrics
    from synthetic_instruction_tuner.training.watch import OnStep


def train_student(
    config: Config,
    method: Method,
    student: ModelConfig,
    data: Sequence[Any],
    output: Path,
    *,
    start: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> TrainingMetrics:
    """Trains, or resumes training, and returns the metrics; the adapter is then in ``output/final``.

    Args:
        config: the method's settings (``train.NAME``) and the seed are read.
        method: how to train.
        student: the base model.
        data: what the method trains on, records or preference pairs.
        output: the folder for the adapter, the log, the metrics and the order of the data.
        start: the folder of the adapter that training starts from; None where it starts from the base model.
        device: ``cpu`` or ``cuda``.
        dtype: the type of the frozen weights, ``float32``, ``float16`` or ``bfloat16``.
        on_step: called after each step.
        on_note: called with what is damaged in the folder and therefore not used.

    Raises:
        UserError: there is nothing to train on.
        RunError: out of GPU memory, the training diverged, or one of the method's own conditions does not hold.
        ValueError: no code trains this method.
    """
    from synthetic_instruction_tuner.models.memory import release

    place = (config.seed, device, dtype)
    try:
        trained = _trained(config, method, student, data, output, start, place, on_step, on_note)
    except Exception:
        release()
        raise  # not after a signal: it asks to leave at once
    release()  # trainer and model refer to each other: the next student's would be loaded beside them
    return trained


def _trained(
    config: Config,
    method: Method,
    student: ModelConfig,
    data: Sequence[Any],
    output: Path,
    start: Path | None,
    place: tuple[int, str, str],
    on_step: OnStep | None,
    on_note: OnNote | None,
) -> TrainingMetrics:
    settings = config.train
    match method.name:
        case "sft":
            from synthetic_instruction_tuner.training.lora_sft import LoraSft

            sft = LoraSft(settings.sft, *place)
            sft.report_to = settings.report_to
            return sft.train(student, data, output, on_step, on_note)
        case "prompt_tuning":
            from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

            prompt = PromptTuning(settings.prompt_tuning, *place)
            prompt.report_to = settings.report_to
            return prompt.train(student, data, output, on_step, on_note)
        case "dpo":
            from synthetic_instruction_tuner.training.dpo import Dpo

            dpo = Dpo(settings.dpo, *place, lora=settings.sft.lora)
            dpo.report_to = settings.report_to
            return dpo.train(student, start, data, output, on_step, on_note)
    raise ValueError(f"training.tuners does not know the method {method.name}")
