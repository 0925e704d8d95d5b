"""Stage prompt_tuning: a soft prompt for the first student, or for all, or for none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage


def students(config: Config) -> tuple[ModelConfig, ...]:
    """Returns the students that are prompt-tuned."""
    count = {"first": 1, "all": len(config.models.students), "none": 0}[config.train.prompt_tuning.students]
    return config.models.students[:count]


def part(config: Config) -> dict[str, Any]:
    """Returns what the soft prompts depend on."""
    return {
        "prompt_tuning": config.train.prompt_tuning.model_dump(mode="json"),
        "students": [identity(m) for m in students(config)],
        "seed": config.seed,
        "device": config.engine.device,
        "dtype": config.engine.dtype,
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the adapters and the metrics."""
    return training.outputs("prompt_tuning", config, folder, students(config))


def run(ctx: Context) -> Outcome:
    """Trains the soft prompts."""
    from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

    config, records = ctx.config, training.filtered_records(ctx)
    trainer = PromptTuning(config.train.prompt_tuning, config.seed, ctx.device, ctx.dtype)
    return training.train_students(
        ctx,
        "prompt_tuning",
        students(config),
        len(records),
        lambda m, out, report: trainer.train(m, records, out, report),
    )


STAGE = Stage("prompt_tuning", "Prompt tuning: virtual tokens instead of weights", ("filter",), part, outputs, run)
