"""Stage sft: LoRA on every student, on the filtered records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage


def part(config: Config) -> dict[str, Any]:
    """Returns what the adapters depend on."""
    return {
        "sft": config.train.sft.model_dump(mode="json"),
        "students": [identity(m) for m in config.models.students],
        "seed": config.seed,
        "device": config.engine.device,
        "dtype": config.engine.dtype,
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the adapters and the metrics."""
    return training.outputs("sft", config, folder, config.models.students)


def run(ctx: Context) -> Outcome:
    """Trains the students."""
    from synthetic_instruction_tuner.training.lora_sft import LoraSft

    config, records = ctx.config, training.filtered_records(ctx)
    trainer = LoraSft(config.train.sft, config.seed, ctx.device, ctx.dtype)
    return training.train_students(
        ctx, "sft", config.models.students, len(records), lambda m, out, report: trainer.train(m, records, out, report)
    )


STAGE = Stage("sft", "SFT: LoRA on each student", ("filter",), part, outputs, run)
