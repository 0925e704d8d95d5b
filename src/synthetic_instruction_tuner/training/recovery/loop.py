"""Trains to the end, whatever comes between.

Too little memory: the step is done again in smaller micro-batches, with as many rows as before. A loss that is no
number, or has risen for good: back to the last good state, with half the learning rate, without the batch that is to
blame; three times at most. A signal: a checkpoint of the last whole step. The trainer is then started again from that
state in the same way as in a new process, so that a training that is killed in between goes on alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset

from synthetic_instruction_tuner.models.memory import release
from synthetic_instruction_tuner.training.exact_resume import load_trainable, trainable
from synthetic_instruction_tuner.training.files.checkpoint_folders import folder_of, step_of, written_whole
from synthetic_instruction_tuner.training.files.sealed_folder import fault_of, seal, seal_again
from synthetic_instruction_tuner.training.recovery.advice import diverged, out_of_memory
from synthetic_instruction_tuner.training.recovery.events import (
    LOWERED,
    Recovery,
    as_facts,
    kept_in,
    learning_rate_factor,
    micro_batch,
    skipped_batches,
    smaller,
)
from synthetic_instruction_tuner.training.recovery.random_state import RandomState
from synthetic_instruction_tuner.training.recovery.stopping import Stopped, Stopping
from synthetic_instruction_tuner.training.recovery.trouble import Diverged, highest_loss, is_out_of_memory

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.run_training import Job

MOST_DIVERGENCES = 3
STATE = "trainer_state.json"  # in every checkpoint but that of a training that has to begin anew


def train_to_the_end(job: Job, trainer: Any, checkpoint: Path | None) -> list[Recovery]:
    """Trains from the checkpoint, or from the start, to the end, and returns what the training has recovered from.

    Args:
        job: the training.
        trainer: a TRL trainer with `ExactResume`, its model as it is before the first step.
        checkpoint: the last complete checkpoint, if any.

    Raises:
        RunError: there is too little memory for one row, the training diverges again and again, or the disk is full.
        KeyboardInterrupt: a signal asked for it; a checkpoint is written.
    """
    weights = {name: p.detach().cpu().clone() for name, p in trainable(trainer.model)}
    start = _Start(weights, RandomState(), _scaling(trainer))
    trainer.recoveries = kept_in(checkpoint)
    with Stopping() as trainer.stopping:
        while True:
            _prepare(job, trainer)
            try:
                trainer.train(resume_from_checkpoint=_state_in(checkpoint))
                return list(trainer.recoveries)
            except Stopped:
                _save_for_later(job, trainer)
                raise
            except Exception as error:
                if not (isinstance(error, Diverged) or is_out_of_memory(error)):
                    raise
                trouble: Exception = error.with_traceback(None)  # or its frames would hold the tensors
            release()
            if isinstance(trouble, Diverged):
                checkpoint = _after_divergence(job, trainer, trouble, start)
            else:
                checkpoint = _after_out_of_memory(job, trainer, trouble, start, checkpoint)
            del trouble


@dataclass(frozen=True, slots=True)
class _Start:
    """A training before its first step: the adapter's weights, the random numbers, and how losses are scaled."""

    weights: dict[str, torch.Tensor]
    random: RandomState
    scaling: dict[str, Any]


def _scaling(trainer: Any) -> dict[str, Any]:
    scaler = getattr(trainer.accelerator, "scaler", None)
    return dict(scaler.state_dict()) if scaler is not None else {}


def _state_in(checkpoint: Path | None) -> str | None:
    return str(checkpoint) if checkpoint and (checkpoint / STATE).exists() else None


def _prepare(job: Job, trainer: Any) -> None:
    """Makes the trainer that of a new process which goes on after these recoveries."""
    recoveries, config = trainer.recoveries, job.config
    size = micro_batch(recoveries, config.per_device_train_batch_size)
    left_out, batch_size = skipped_batches(recoveries), job.batch_size
    trainer.planned_steps = math.ceil(len(job.order) / batch_size)
    trainer.args.per_device_train_batch_size = trainer._train_batch_size = size
    trainer.args.gradient_accumulation_steps = batch_size // size
    trainer.args.learning_rate = config.learning_rate * learning_rate_factor(recoveries)
    trainer.args.max_steps = trainer.planned_steps - len(left_out)
    if left_out:
        rows = [row for row in range(len(job.order)) if row // batch_size not in left_out]
        trainer.train_dataset = Dataset.from_dict({"row": rows})
    trainer.optimizer = trainer.lr_scheduler = None
    trainer._metrics["train"].clear()
    trainer.step_done()


def _after_out_of_memory(
    job: Job, trainer: Any, error: Exception, start: _Start, checkpoint: Path | None
) -> Path | None:
    size = trainer.args.per_device_train_batch_size
    less = smaller(size, job.batch_size)
    if less is None:
        raise out_of_memory(job) from error
    begun = trainer.optimizer is not None  # otherwise nothing of the state is loaded yet
    done = trainer.state.global_step if begun else step_of(checkpoint) if checkpoint else 0
    kept = trainer.whole and begun
    back_to = done if kept else _back_to(job, done)
    factor = learning_rate_factor(trainer.recoveries)
    trainer.recoveries = [
        *trainer.recoveries,
        Recovery("out of memory", done + 1, back_to, less, factor, detail=f"with {size} rows at once"),
    ]
    job.workspace.note(
        f"{job.model.name}: out of memory in step {done + 1} with {size} rows at once; it goes on with {less}, "
        f"{job.batch_size} per step as before"
    )
    return _go_on(job, trainer, back_to, start, in_memory=kept)


def _after_divergence(job: Job, trainer: Any, trouble: Diverged, start: _Start) -> Path | None:
    tried = [one for one in trainer.recoveries if one.reason == "diverged"]
    batches = [n for n in range(trainer.planned_steps) if n not in skipped_batches(trainer.recoveries)]
    at_fault = trouble.sure or not _weights_are_good(job, trainer, trouble.first_bad)
    blamed = max(trouble.first_bad - 1, 0) if at_fault else trouble.first_bad
    if len(tried) >= MOST_DIVERGENCES or len(batches) <= 1:
        raise diverged(job, trainer, trouble, tried, batches[blamed])
    back_to = _back_to(job, blamed) if at_fault else trainer.state.global_step
    factor = learning_rate_factor(trainer.recoveries) * LOWERED
    size, step = trainer.args.per_device_train_batch_size, trouble.first_bad + 1
    trainer.recoveries = [
        *trainer.recoveries,
        Recovery("diverged", step, back_to, size, factor, batches[blamed], trouble.detail),
    ]
    job.workspace.note(
        f"{job.model.name}: diverged in step {step} ({trouble.detail}); it goes on from step {back_to}, without batch "
        f"{batches[blamed] + 1}, with learning rate {job.config.learning_rate * factor:g} "
        f"(attempt {len(tried) + 1} of {MOST_DIVERGENCES})"
    )
    return _go_on(job, trainer, back_to, start, in_memory=not at_fault)


def _weights_are_good(job: Job, trainer: Any, step: int) -> bool:
    """Returns whether the batch before this one still has a loss that can be: if so, the weights are not at fault."""
    if step == 0:
        return True
    size = trainer.args.per_device_train_batch_size
    first = (step - 1) * job.batch_size
    rows = [trainer.train_dataset[i] for i in range(first, first + min(size, job.batch_size))]
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    limit = highest_loss(losses, job.batch_size) or math.inf
    trainer.model.eval()
    with torch.no_grad(), trainer.compute_loss_context_manager():
        inputs = trainer._prepare_inputs(trainer.data_collator(rows))
        loss = float(trainer.compute_loss(trainer.model, inputs))
    return math.isfinite(loss) and loss <= limit


def _back_to(job: Job, step: int) -> int:
    """Returns how many steps are done in the last checkpoint after at most so many; later ones are gone then."""
    checkpoint = job.workspace.go_back(step)
    return step_of(checkpoint) if checkpoint else 0


def _go_on(job: Job, trainer: Any, step: int, start: _Start, in_memory: bool) -> Path | None:
    """Returns the checkpoint to go on from, which knows of the recoveries.

    Args:
        job: the training.
        trainer: its trainer.
        step: how many steps are done in the state to go on from.
        start: the training before its first step.
        in_memory: whether the trainer holds that state; otherwise a checkpoint does.
    """
    checkpoints, facts = job.workspace.checkpoints, trainer.clock.facts() | as_facts(trainer.recoveries)
    checkpoint = folder_of(checkpoints, step)
    if step == 0:
        load_trainable(trainer.model, start.weights)
        start.random.restore()
        if start.scaling:
            trainer.accelerator.scaler.load_state_dict(start.scaling)
        with written_whole(checkpoints, 0) as beside:
            folder_of(beside, 0).mkdir()
            seal(folder_of(beside, 0), trainer.owner, facts)
    elif in_memory and (not checkpoint.is_dir() or fault_of(checkpoint)):
        trainer.save_now()
    else:
        seal_again(checkpoint, facts)
    return checkpoint


def _save_for_later(job: Job, trainer: Any) -> None:
    """Writes a checkpoint of the last whole step, unless there is one or nothing is done yet."""
    step, steps = trainer.state.global_step, trainer.args.max_steps
    checkpoint = folder_of(job.workspace.checkpoints, step)
    if step and trainer.whole and (not checkpoint.is_dir() or fault_of(checkpoint)):
        trainer.save_now()
    job.workspace.note(f"{job.model.name}: stopped after step {step} of {steps}; the same command goes on from there")
