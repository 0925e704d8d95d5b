"""The stages that train, one per method: a unit of work per student, the method's metrics, the adapters."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig, fingerprint, starting_method, tuned_students
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.data_files.file_hashes import put_aside
from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import set_threads
from synthetic_instruction_tuner.models.quantization.held import settled
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.costs.training import done_line, in_percent, with_costs
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.stages.trained_files import (
    ADAPTERS,
    KEPT,
    adapter_fault,
    facts_of,
    restore,
    trained_rows,
)
from synthetic_instruction_tuner.run.store import Row, Store

SOURCES = {"records": "filter", "pairs": "prefer"}
"""The stage that produces each method's data."""


def inputs(method: Method) -> tuple[str, ...]:
    """Returns the stages whose output the method reads."""
    start = (method.starts_from,) if method.starts_from else ()
    return (*start, SOURCES[method.trains_on])


def part(method: Method, config: Config) -> dict[str, Any]:
    """Returns what the adapters depend on, besides the data and the adapters that training starts from."""
    settings = {method.name: config.train.of(method).key_part()}
    if method.starts_from and starting_method(config, method) is None:  # its adapter is new
        settings |= {"lora": config.train.sft.lora.key_part()}
    return {
        "train": settings,
        "students": [identity(m) for m in tuned_students(config, method)],
        "seed": config.seed,
        "device": config.engine.device,
        "dtype": config.engine.dtype,
    }


def outputs(method: Method, config: Config, folder: RunFolder) -> list[Path]:
    """Returns the adapters, what is beside them, and the metrics file."""
    students = tuned_students(config, method)
    files = [folder.model(method.name, m.name) / name for m in students for name in (*ADAPTERS, *KEPT)]
    return [*files, folder.training_metrics(method)] if students else []


def run(method: Method, ctx: Context) -> Outcome:
    """Trains each student that is not yet trained under this key; writes the method's efficiency metrics."""
    set_threads(
        ctx.config.engine.threads
    )  # as if earlier stages had run in this process: sums depend on the number of threads
    data: Sequence[Any] = filtered_records(ctx) if method.trains_on == "records" else _pairs(ctx)
    students = tuned_students(ctx.config, method)
    trained = [_train_student(ctx, method, student, data) for student in students]
    price = ctx.config.engine.price_per_hour
    metrics = [with_costs(facts["metrics"], ctx.hardware, price) for facts in trained]
    if metrics:
        text = json.dumps({"method": method.name, "students": metrics}, indent=2, ensure_ascii=False) + "\n"
        write_text(ctx.folder.training_metrics(method), text)
    ctx.store.set_fact(f"training:{method.name}", metrics)
    losses = ", ".join(f"{m['student']} loss {m['first_loss']:.2f} -> {m['final_loss']:.2f}" for m in metrics)
    digest = output_digest(method, ctx.config, ctx.folder)
    outputs = [(ctx.folder.model(method.name, m.name), facts) for m, facts in zip(students, trained, strict=True)]
    left = tuple(folder / name for folder, facts in outputs for name in facts.get("files", ()))
    return Outcome(digest, len(data), len(students), losses, left)


def output_digest(method: Method, config: Config, folder: RunFolder) -> str:
    """Returns the digest of the stage's output from the adapters that are in the folder now."""
    students = tuned_students(config, method)
    return fingerprint([adapter_digest(folder.adapter(method.name, m.name), m) for m in students])


def filtered_records(ctx: Context) -> list[Record]:
    """Returns the records that passed the filter."""
    return [Record.from_json(row) for row in ctx.store.rows(ctx.input_unit("filter"))]


def own_pairs(pairs: Sequence[PreferencePair], student: ModelConfig) -> list[PreferencePair]:
    """Returns the pairs that the student is tuned on: those for every student, and those of its own answers."""
    return [pair for pair in pairs if pair.student in (None, student.name)]


def _pairs(ctx: Context) -> list[PreferencePair]:
    return [PreferencePair.from_json(row) for row in ctx.store.rows(ctx.input_unit("prefer"))]


def _train_student(ctx: Context, method: Method, student: ModelConfig, data: Sequence[Any]) -> Row:
    """Returns the facts of the student's training, after doing it or making sure that it is done."""
    unit, output = ctx.unit(student.name), ctx.folder.model(method.name, student.name)
    done, held = list(ctx.store.rows(unit)), ctx.number_format(student, student=True)
    if done and held.quantized != bool(done[0]["metrics"].get("quantized")):
        ctx.display.say(f"  {student.name} is trained again: its first adapter is for weights in {held.weights}")
        ctx.store.drop_unit(unit)
        done = []
    if done and _is_trained(ctx, student, output, done[0]):
        restore(ctx, student, output, done)
        return facts_of(done)
    ctx.opens(student, held)
    metrics = _train(ctx, method, settled(student, held) if held.four_bit else student, data, output)
    if done and done[0]["adapter"] == adapter_digest(output / "final", student):
        restore(ctx, student, output, done)  # the metrics stay those of the first time
        return facts_of(done)
    ctx.display.say(f"  {done_line(with_costs(metrics, ctx.hardware, ctx.config.engine.price_per_hour))}")
    ctx.store.drop_unit(unit)
    rows = trained_rows(student, output, metrics)
    ctx.commit(unit, 0, rows)
    return rows[0]


def _is_trained(ctx: Context, student: ModelConfig, output: Path, row: Row) -> bool:
    """Returns whether the student's adapter is what was trained under this key; if not, it is no longer in place."""
    adapter = output / "final"
    reason = adapter_fault(student, adapter, row)
    if reason is None:
        return True
    if os.path.lexists(adapter) and not (adapter.is_dir() and not _weights(adapter).exists()):
        moved = put_aside(adapter).relative_to(ctx.folder.root)
        ctx.display.say(f"  {adapter.relative_to(ctx.folder.root)} {reason}; it is kept as {moved}")
    return False


def _train(ctx: Context, method: Method, student: ModelConfig, data: Sequence[Any], output: Path) -> dict[str, Any]:
    from synthetic_instruction_tuner.training.tuners import train_student

    start = starting_method(ctx.config, method)
    with ctx.display.task(f"training {student.name}", 100, "%") as advance:
        return train_student(
            ctx.config,
            method,
            student,
            own_pairs(data, student) if method.trains_on == "pairs" else data,
            output,
            start=ctx.folder.adapter(start.name, student.name) if start else None,
            device=ctx.device,
            dtype=ctx.dtype,
            on_step=in_percent(advance),
            on_note=lambda text: ctx.display.say(f"  {text}"),
        ).to_json()


def _weights(adapter: Path) -> Path:
    return adapter / "adapter_model.safetensors"


def so_far(method: Method, config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many students are trained."""
    units = [f"{method.name}:{key}:{student.name}" for student in tuned_students(config, method)]
    return Amount(sum(bool(store.batch_numbers(unit)) for unit in units), len(units), "students")


STAGES = tuple(
    Stage(
        method.name,
        method.title,
        inputs(method),
        partial(part, method),
        partial(outputs, method),
        partial(run, method),
        units=(method.trains_on, "adapters"),
        so_far=partial(so_far, method),
    )
    for method in METHODS
)
