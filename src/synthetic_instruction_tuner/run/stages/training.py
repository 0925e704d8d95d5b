"""What the three training stages share: one unit of work per student, metrics, and the files that come out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.models.hardware import set_threads
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.metrics import TrainingMetrics

Train = Callable[[ModelConfig, Path, Callable[[int, int, dict[str, float]], None]], "TrainingMetrics"]
"""Trains one student into a folder, reporting (step, steps, logged values)."""

METRICS_FILE = {"sft": "lora_sft.json", "prompt_tuning": "prompt_tuning.json", "dpo": "dpo.json"}


def adapter_folder(folder: RunFolder, method: str, student: str) -> Path:
    """Returns where a student's finished adapter lies."""
    return folder.model(method, student) / "final"


def outputs(method: str, config: Config, folder: RunFolder, students: tuple[ModelConfig, ...]) -> list[Path]:
    """Returns the adapters and the metrics file."""
    adapters = [adapter_folder(folder, method, m.name) / "adapter_model.safetensors" for m in students]
    return [*adapters, folder.metrics / METRICS_FILE[method]] if students else []


def train_students(
    ctx: Context, method: str, students: tuple[ModelConfig, ...], examples: int, train: Train
) -> Outcome:
    """Trains each student that is not yet trained under this key; writes the method's efficiency metrics."""
    set_threads(ctx.config.engine.threads)  # as when the stages before ran in this process: sums depend on it
    metrics = [_train_student(ctx, method, student, train) for student in students]
    if metrics:
        text = json.dumps({"method": method, "students": metrics}, indent=2, ensure_ascii=False) + "\n"
        write_text(ctx.folder.metrics / METRICS_FILE[method], text)
    ctx.store.set_fact(f"training:{method}", metrics)
    digests = [adapter_digest(adapter_folder(ctx.folder, method, m.name)) for m in students]
    losses = ", ".join(f"{m['student']} loss {m['first_loss']:.2f} -> {m['final_loss']:.2f}" for m in metrics)
    return Outcome(fingerprint(digests), examples, len(students), losses)


def filtered_records(ctx: Context) -> list[Record]:
    """Returns the records that passed the filter."""
    return [Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("filter"))]


def _train_student(ctx: Context, method: str, student: ModelConfig, train: Train) -> dict[str, Any]:
    unit = ctx.unit(student.name)
    final = adapter_folder(ctx.folder, method, student.name)
    done = list(ctx.store.rows(unit))
    if done and (final / "adapter_model.safetensors").exists():
        if done[0]["adapter"] == adapter_digest(final):
            return dict(done[0]["metrics"])
        ctx.display.say(f"  {final.relative_to(ctx.folder.root)} is not what was trained here; training it again")
    ctx.store.drop_unit(unit)
    if not (final / "adapter_model.safetensors").exists():
        shutil.rmtree(final, ignore_errors=True)
    with ctx.display.task(f"training {student.name}", 100, "percent") as advance:
        shown = 0

        def report(step: int, steps: int, values: dict[str, float]) -> None:
            nonlocal shown
            now = round(100 * step / max(steps, 1))
            loss = f"loss {values['loss']:.3f}" if "loss" in values else None
            advance(now - shown, loss)
            shown = now

        metrics = train(student, ctx.folder.model(method, student.name), report).to_json()
    ctx.commit(unit, 0, [{"metrics": metrics, "adapter": adapter_digest(final)}])
    return metrics


def adapter_digest(folder: Path) -> str:
    """Returns the hash of a finished adapter's weights."""
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
