"""Stage dpo: from each SFT adapter, on the preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import PreferencePair
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage


def part(config: Config) -> dict[str, Any]:
    """Returns what the adapters depend on, beside the SFT adapters and the pairs."""
    return {
        "dpo": config.train.dpo.model_dump(mode="json"),
        "students": [identity(m) for m in config.models.students],
        "seed": config.seed,
        "device": config.engine.device,
        "dtype": config.engine.dtype,
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the adapters and the metrics."""
    return training.outputs("dpo", config, folder, config.models.students)


def run(ctx: Context) -> Outcome:
    """Trains the students further."""
    from synthetic_instruction_tuner.training.dpo import Dpo

    config = ctx.config
    pairs = [PreferencePair.from_json(row) for row in ctx.store.rows(ctx.input_unit("prefer"))]
    trainer = Dpo(config.train.dpo, config.seed, ctx.device, ctx.dtype)
    return training.train_students(
        ctx,
        "dpo",
        config.models.students,
        len(pairs),
        lambda m, out, report: trainer.train(
            m, training.adapter_folder(ctx.folder, "sft", m.name), own_pairs(pairs, m), out, report
        ),
    )


def own_pairs(pairs: list[PreferencePair], student: ModelConfig) -> list[PreferencePair]:
    """Returns the pairs that the student is tuned on: those for every student, and those of its own answers."""
    return [pair for pair in pairs if pair.student in (None, student.name)]


STAGE = Stage("dpo", "DPO: preference tuning from the SFT adapter", ("sft", "prefer"), part, outputs, run)
