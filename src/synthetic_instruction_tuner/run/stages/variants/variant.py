"""What is evaluated: each student as it is, and with each of its adapters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.config import Config, ModelConfig, tuned_students
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.run.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Variant:
    """What is evaluated: a student with or without an adapter."""

    student: ModelConfig
    name: str
    adapter: Path | None

    @property
    def label(self) -> str:
        """Its name in files and progress lines."""
        return f"{self.student.name}-{self.name}"


def variants(config: Config, folder: RunFolder) -> list[Variant]:
    """Returns everything that is evaluated, student by student, in the order of `methods.VARIANTS`."""
    found = []
    for student in config.models.students:
        found.append(Variant(student, BASE, None))
        for method in METHODS:
            if student in tuned_students(config, method):
                found.append(Variant(student, method.name, folder.adapter(method.name, student.name)))
    return found
