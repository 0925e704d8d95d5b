"""Running one of TRL's trainers: its arguments, its preparation, the training itself, and errors in plain words.

TRL and Transformers compute, accumulate and step; `exact_resume` makes that exactly resumable.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, TrainerConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_jsonl
from synthetic_instruction_tuner.data_files.file_hashes import clear_way
from synthetic_instruction_tuner.models.families import PLAIN_DECODERS
from synthetic_instruction_tuner.models.quantization.held import held_as
from synthetic_instruction_tuner.models.quantization.layers import weight_count
from synthetic_instruction_tuner.models.running import running
from synthetic_instruction_tuner.training.answer_only_head import use_answer_only_head
from synthetic_instruction_tuner.training.exact_resume import trainable
from synthetic_instruction_tuner.training.examples import Example, PairExample, Row, Tokenized, training_order
from synthetic_instruction_tuner.training.files.adapter_files import save_adapter
from synthetic_instruction_tuner.training.files.workspace import LOGS, Workspace
from synthetic_instruction_tuner.training.metrics import TrainingMetrics, device_name
from synthetic_instruction_tuner.training.monitoring.curve import warnings as warnings_of
from synthetic_instruction_tuner.training.monitoring.trackers import keep_beside_adapter, require_trackers
from synthetic_instruction_tuner.training.recovery.events import Recovery, skipped_batches
from synthetic_instruction_tuner.training.recovery.loop import train_to_the_end
from synthetic_instruction_tuner.training.watch import Clock, OnStep, Watch, figures, mean

WITHOUT_EFFECT = {
    "save_steps",
    "logging_steps",
    "gradient_checkpointing",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
}
"""Settings that do not change a training's result; of the last two only the product matters."""


@dataclass(frozen=True, slots=True)
class Job:
    """One adapter's training: what, on what, how and where.

    Attributes:
        method: the method's name in the metrics.
        model: the base model.
        config: the method's settings.
        seed: fixes initialization, order and dropout.
        device: ``cpu`` or ``cuda``.
        dtype: the type of the base model's weights; the adapter is always float32.
        data: the tokenized rows.
        workspace: the training's folder.
        report_to: trackers, by their names in Transformers.
        order: the rows in the order in which they are trained on, over all epochs.
    """

    method: str
    model: ModelConfig
    config: TrainerConfig
    seed: int
    device: str
    dtype: str
    data: Tokenized[Any]
    workspace: Workspace
    report_to: Sequence[str] = ()
    order: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        rows = self.data.rows
        lengths = [row.tokens for row in rows]
        order = training_order(lengths, self.config.num_train_epochs, self.batch_size, self.seed)
        object.__setattr__(self, "order", [rows[i] for i in order])

    @property
    def batch_size(self) -> int:
        """Rows per optimizer step."""
        return self.config.per_device_train_batch_size * self.config.gradient_accumulation_steps


def job_fingerprint(
    method: str,
    model: ModelConfig,
    config: TrainerConfig,
    seed: int,
    device: str,
    dtype: str,
    rows: Sequence[Example | PairExample],
    *more: str,
) -> str:
    """Returns a hash of what decides a training's outcome.

    The logging and saving intervals do not, nor how a step's rows are split into micro-batches: after running out of
    memory, a smaller per_device_train_batch_size with more gradient_accumulation_steps continues the same training.
    """
    size = config.per_device_train_batch_size * config.gradient_accumulation_steps
    settings = {name: value for name, value in config.key_part().items() if name not in WITHOUT_EFFECT}
    settings["batch_size"] = size
    return fingerprint(method, model, settings, seed, device, dtype, data_digest(rows), *more)


def data_digest(rows: Sequence[Example | PairExample]) -> str:
    """Returns a hash of tokenized rows and their order, one row in memory at a time."""
    digest = hashlib.sha256()
    for row in rows:
        for example in (row,) if isinstance(row, Example) else (row.chosen, row.rejected):
            digest.update(json.dumps([example.id, example.ids]).encode() + bytes(example.trained))
    return digest.hexdigest()


def trainer_arguments(job: Job) -> dict[str, Any]:
    """Returns the arguments that TRL's configurations share."""
    config = job.config
    require_trackers(job.report_to)
    steps = math.ceil(len(job.order) / job.batch_size)
    return {
        "output_dir": str(job.workspace.checkpoints),
        "per_device_train_batch_size": config.per_device_train_batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "max_steps": steps,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler_type,
        "warmup_steps": math.ceil(config.warmup_ratio * steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "gradient_checkpointing": config.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if config.gradient_checkpointing else None,
        "save_steps": config.save_steps,
        "seed": job.seed,
        "use_cpu": job.device == "cpu",
        # Mixed precision follows the weights' type, which was chosen for the GPU: TRL's own default is bfloat16
        # everywhere, also where a GPU only emulates it.
        "bf16": job.dtype == "bfloat16",
        "fp16": job.dtype == "float16",
        "max_length": None,
        "logging_steps": 1,  # each step's loss is checked and kept; the log file has means over logging_steps
        "logging_nan_inf_filter": False,
        "dataloader_pin_memory": job.device != "cpu",
        "remove_unused_columns": False,
        "report_to": list(job.report_to) or "none",
        "run_name": f"{job.method} {job.model.name}",
        "disable_tqdm": True,
        "log_level": "error",
    }


def one_gpu(arguments: Any) -> Any:
    """Returns the arguments, with the first of several visible GPUs: Transformers would use all, which TRL rejects."""
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def row_numbers(job: Job) -> Dataset:
    """Returns the dataset that a trainer walks through in order: positions in `Job.order`."""
    return Dataset.from_dict({"row": list(range(len(job.order)))})


def collator(
    rows: Sequence[Row], batch: Callable[[list[Row]], dict[str, Any]]
) -> Callable[[list[Any]], dict[str, Any]]:
    """Returns the function that turns items of `row_numbers` into a batch."""
    return lambda items: batch([rows[item["row"]] for item in items])


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the libraries' deprecation warnings to each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def prepare(job: Job, trainer: Any) -> Any:
    """Returns the trainer, silenced, and on a CPU with the output layer of `answer_only_head`."""
    keep_beside_adapter(trainer, job.workspace.output)
    trainer.processing_class = None  # or every checkpoint would hold a copy of the tokenizer
    trainer.remove_callback(PrinterCallback)
    if job.device == "cpu" and trainer.model.config.model_type in PLAIN_DECODERS:
        use_answer_only_head(trainer.model.get_base_model())
    return trainer


def run_training(job: Job, trainer: Any, checkpoint: Path | None, on_step: OnStep | None) -> TrainingMetrics:
    """Trains from the checkpoint, or from the start, to the end, and writes the result.

    Args:
        job: the training.
        trainer: a TRL trainer with `ExactResume`, its model ready.
        checkpoint: the last complete checkpoint, if any.
        on_step: called after each step.

    Raises:
        RunError: too little memory for one row, the training diverges again and again, nothing is learned, or the
            disk is full.
        KeyboardInterrupt: a signal has asked for it; a checkpoint is written.
    """
    trainer.clock, trainer.owner = Clock(job.device, checkpoint), job.workspace.fingerprint
    size = job.batch_size
    tokens = [sum(row.tokens for row in job.order[i : i + size]) for i in range(0, len(job.order), size)]
    trainer.add_callback(Watch(trainer, on_step, size, tokens))
    with quiet(), running(job.model.name, "be trained"):
        recoveries = train_to_the_end(job, trainer, checkpoint)
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    left_out = skipped_batches(recoveries)
    order = [row for number, row in enumerate(job.order) if number // job.batch_size not in left_out]
    metrics = _metrics(job, trainer, steps, order, recoveries)
    for text in metrics.warnings:
        job.workspace.note(f"{job.model.name}: {text}")
    logs: tuple[list[dict[str, Any]], ...] = ([{"id": row.id} for row in order], _log_rows(steps, job))
    for name, rows in zip(LOGS, logs, strict=True):
        clear_way(job.workspace.output / name, job.workspace.output)
        write_jsonl(job.workspace.output / name, rows)
    job.workspace.finish(lambda folder: save_adapter(trainer.model, job.model, metrics, folder), metrics)
    return metrics


def _metrics(
    job: Job, trainer: Any, steps: list[dict[str, Any]], order: Sequence[Any], recoveries: Sequence[Recovery]
) -> TrainingMetrics:
    facts = trainer.clock.facts()
    tokens = sum(row.tokens for row in order)
    shown = [figures(entry) for entry in steps]
    layers: list[str] = getattr(trainer.model.base_model, "targeted_module_names", [])  # of LoRA
    return TrainingMetrics(
        method=job.method,
        student=job.model.name,
        seconds=facts["seconds"],
        tokens=tokens,
        trained_tokens=sum(row.trained_tokens for row in order),
        tokens_per_second=tokens / facts["seconds"],
        peak_memory_gb=facts["peak_memory_gb"],
        trainable_parameters=sum(p.numel() for _, p in trainable(trainer.model)),
        total_parameters=sum(weight_count(p) for p in trainer.model.parameters()),
        steps=len(steps),
        epochs=job.config.num_train_epochs,
        examples=len(job.data.rows),
        truncated=job.data.truncated,
        dropped=job.data.dropped,
        first_loss=shown[0]["loss"],
        final_loss=mean(shown[-max(1, len(steps) // 10) :], "loss"),
        seed=job.seed,
        device=device_name(job.device),
        dtype=job.dtype,
        adapted=sorted({name.rsplit(".", 1)[-1] for name in layers}),
        adapted_layers=len(layers),
        quantized=held_as(job.model),
        packed=trainer.decoder.kernel_name if hasattr(trainer, "decoder") else "",
        energy_wh=facts.get("energy_wh", 0.0),
        loss_type=_loss_type(job.config),
        warnings=warnings_of(shown),
        recoveries=[asdict(one) for one in recoveries],
    )


def _loss_type(config: TrainerConfig) -> str:
    return config.loss if isinstance(config, DpoConfig) and config.loss != "sigmoid" else ""


def _log_rows(steps: list[dict[str, Any]], job: Job) -> list[dict[str, Any]]:
    """Returns one row per `logging_steps` steps, with means over them and the last learning rate."""
    size, examples = job.config.logging_steps, len(job.data.rows)
    shown = [{"step": entry["step"], **figures(entry)} for entry in steps]
    rows = []
    for window in (shown[i : i + size] for i in range(0, len(steps), size)):
        step = window[-1]["step"]
        means = {name: mean(window, name) for name in window[-1] if name != "step"}
        epoch = min(step * job.batch_size / examples, job.config.num_train_epochs)
        rows.append({"step": step, "epoch": epoch, **means, "learning_rate": window[-1]["learning_rate"]})
    return rows
