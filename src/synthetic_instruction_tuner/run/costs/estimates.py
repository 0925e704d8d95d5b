"""What a plan says of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from synthetic_instruction_tuner.run.progress.forecast import Part


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What one model does in a stage.

    Attributes:
        model: its name.
        number_format: how its weights are held.
        engine: what runs it: an engine, ``training`` or ``reward model``.
        batch: texts at once, or micro-batch x accumulation.
        memory_gb: at its peak, in GB of 1e9 bytes.
        tokens: that it writes, reads or is trained on.
        seconds: its time, loading included.
    """

    model: str
    number_format: str
    engine: str
    batch: str
    memory_gb: float
    tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage's estimate: seconds, memory at its peak, what it does in a few words, and its longest tasks.

    Attributes:
        parts: the tasks that the progress display knows, with their time.
        tasks: what each model does.
        disk_gb: what it writes, in GB of 1e9 bytes.
    """

    stage: str
    seconds: float
    memory_gb: float
    detail: str
    parts: tuple[Part, ...] = ()
    tasks: tuple[TaskEstimate, ...] = ()
    disk_gb: float = 0.0
