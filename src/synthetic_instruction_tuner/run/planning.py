"""What a run will cost: seconds, memory and disk per stage, on this machine or with a card that is not here.

The work of each stage is added up in `costs/stages.py`; what it costs is in `costs/cpu.py` and `costs/gpu.py`. Expect a
factor of two either way on hardware that nobody has measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.run.costs.agents import agents
from synthetic_instruction_tuner.run.costs.cards import Card, card_of
from synthetic_instruction_tuner.run.costs.counts import evaluation_step, planned_records, written_records
from synthetic_instruction_tuner.run.costs.cpu import CpuCosts
from synthetic_instruction_tuner.run.costs.estimates import StageEstimate, TaskEstimate
from synthetic_instruction_tuner.run.costs.gpu import GpuCosts
from synthetic_instruction_tuner.run.costs.stages import StageWork
from synthetic_instruction_tuner.run.costs.work import Costs
from synthetic_instruction_tuner.run.own_data.needs import reading_seconds, skip_reasons

__all__ = [
    "StageEstimate",
    "TaskEstimate",
    "does_not_fit",
    "estimate",
    "evaluation_step",
    "largest",
    "planned_records",
    "too_large",
    "with_start",
    "written_records",
]

IMPORT_SECONDS = 8.0  # torch, transformers and trl
LOADS_NOTHING = ("filter", "report")  # stages that, as a rule, load no model
READING_GB = 0.3  # of a stage that reads files and loads no model
LESS_MEMORY = (
    "Use smaller models, smaller batches (engine.batch_size, train.*.per_device_train_batch_size) "
    "or gradient checkpointing."
)


def estimate(config: Config, hardware: Hardware, card: Card | None = None) -> list[StageEstimate]:
    """Returns the estimates of all stages, in order.

    Args:
        config: the settings.
        hardware: the machine.
        card: its GPU, if the table of cards does not have it.
    """
    costs: Costs = GpuCosts(card or card_of(hardware)) if hardware.device == "cuda" else CpuCosts.of(hardware)
    work = StageWork(config, hardware, costs)
    found = [
        work.generate(),
        work.filter(),
        work.prefer(),
        *map(work.train, METHODS),
        work.evaluate(),
        agents(work),
        StageEstimate("report", 10.0, 0.5, "figures, report and slides", disk_gb=0.01),
    ]
    why = skip_reasons(config)
    found = [_skipped(config, e.stage, why[e.stage]) if e.stage in why else e for e in found]
    first = next(e.stage for e in found if e.stage not in (*why, *LOADS_NOTHING))
    return [with_start(e) if e.stage == first else e for e in found]


def _skipped(config: Config, stage: str, why: str) -> StageEstimate:
    """The estimate of a stage that a run with the user's own data does not need; it may read files all the same."""
    seconds = reading_seconds(config, stage)
    return StageEstimate(stage, seconds, READING_GB if seconds else 0.0, why)


def with_start(first: StageEstimate) -> StageEstimate:
    """Returns the estimate of a stage that is the first one of a process to load a model: it imports the libraries."""
    return replace(first, seconds=first.seconds + IMPORT_SECONDS)


def largest(estimates: Iterable[StageEstimate]) -> StageEstimate:
    """Returns the stage that needs the most memory."""
    return max(estimates, key=lambda e: e.memory_gb)


def too_large(estimates: Iterable[StageEstimate], hardware: Hardware) -> list[StageEstimate]:
    """Returns the stages that need more memory than the machine has."""
    return [e for e in estimates if e.memory_gb > hardware.memory_for_models_gb]


def does_not_fit(estimates: Iterable[StageEstimate], hardware: Hardware, where: str = "here") -> str | None:
    """Returns a sentence on the stages that need more memory than the machine has, or None where all fit."""
    large = [f"{e.stage} (about {e.memory_gb:.1f} GB)" for e in too_large(estimates, hardware)]
    if not large:
        return None
    have = hardware.memory_for_models_gb
    return (
        f"These stages need more than the {have:.1f} GB of memory {where} and may fail: {', '.join(large)}. "
        f"{LESS_MEMORY}"
    )
