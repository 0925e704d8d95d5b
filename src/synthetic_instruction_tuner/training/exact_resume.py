"""What makes a TRL trainer exactly resumable, and free of work that nobody reads.

Between two updates the state of a training is that of a whole number of steps: the adapter, the optimizer, and the
random numbers as they were when the step began. That moment is kept, so that a step that cannot be finished (a signal,
too little memory, a loss that is no number) can be left at any time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler

from synthetic_instruction_tuner.training.files.checkpoint_folders import folder_of, written_whole
from synthetic_instruction_tuner.training.files.sealed_folder import seal
from synthetic_instruction_tuner.training.recovery.events import Recovery, as_facts
from synthetic_instruction_tuner.training.recovery.random_state import RandomState
from synthetic_instruction_tuner.training.recovery.stopping import Stopping
from synthetic_instruction_tuner.training.recovery.trouble import check_number
from synthetic_instruction_tuner.training.watch import Clock

WEIGHTS = "trainable.safetensors"


class ExactResume:
    """Mixed into a TRL trainer: rows come in the given order, and a resumed run equals an uninterrupted one.

    Attributes:
        clock: measures time and memory; its figures are kept with each checkpoint.
        owner: the fingerprint of the training.
        recoveries: what it has recovered from so far.
        planned_steps: of the training as it was planned, for the schedule of the learning rate.
        stopping: says when a signal may end a step.
        whole: whether the weights are those of a whole number of steps; not so during an update.
    """

    model: Any
    state: Any
    args: Any
    optimizer: Any
    lr_scheduler: Any
    clock: Clock
    owner: str
    recoveries: list[Recovery]
    planned_steps: int
    stopping: Stopping
    whole = True
    _step_began: RandomState | None = None
    _checkpoints: str | None = None

    def _get_train_sampler(self, train_dataset: object = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[attr-defined]

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset  # it holds row numbers only

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the micro-batches of the next step, which has not yet drawn a random number."""
        self._step_began = None
        return super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Returns the loss of a micro-batch, whose gradients are then added; a signal may end it."""
        if self._step_began is None:
            self._step_began = RandomState()
        with self.stopping.interruptible():
            loss: torch.Tensor = super().training_step(*args, **kwargs)  # type: ignore[misc]
        return loss

    def _clip_grad_norm(self, model: object) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[misc]
        # With loss scaling (float16) an overflowing gradient is normal: the scaler skips that step.
        known = None if self.args.fp16 else float(norm)
        check_number(float(self._tr_loss), known, self.state.global_step)  # type: ignore[attr-defined]
        self.whole = False
        return norm

    def step_done(self) -> None:
        """Notes that weights, optimizer and schedule belong together again."""
        self.whole = True
        self._step_began = None

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Returns the schedule of the whole training, also where batches are left out of it."""
        return super().create_scheduler(self.planned_steps, optimizer)  # type: ignore[misc]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        schedule = self.lr_scheduler
        if any(rate != self.args.learning_rate for rate in schedule.base_lrs):  # it has been lowered since
            schedule.base_lrs = [self.args.learning_rate] * len(schedule.base_lrs)
            for group, rate in zip(self.optimizer.param_groups, schedule.get_lr(), strict=True):
                group["initial_lr"], group["lr"] = self.args.learning_rate, rate
            schedule._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _save(self, output_dir: str, state_dict: object = None) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        weights = {name: p.detach().contiguous() for name, p in trainable(self.model)}
        save_file(weights, str(Path(output_dir, WEIGHTS)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        load_trainable(self.model, load_file(str(Path(resume_from_checkpoint, WEIGHTS))))

    def _get_output_dir(self, trial: object = None) -> str:
        return self._checkpoints or str(self.args.output_dir)

    def _save_checkpoint(self, model: object, trial: object) -> None:
        """Writes a checkpoint that appears whole or not at all; the one before it stays until then.

        Raises:
            RunError: the disk is full.
        """
        step = self.state.global_step
        try:
            with written_whole(Path(self.args.output_dir), step) as beside:
                self._checkpoints = str(beside)
                super()._save_checkpoint(model, trial)  # type: ignore[misc]
                seal(folder_of(beside, step), self.owner, self.clock.facts() | as_facts(self.recoveries))
        finally:
            self._checkpoints = None

    def save_now(self) -> Path:
        """Writes a checkpoint of the last whole step, wherever in the next one the training is; returns its folder."""
        assert self.whole
        if self._step_began is not None:
            self._step_began.restore()
        self._save_checkpoint(self.model, None)
        return folder_of(Path(self.args.output_dir), self.state.global_step)

    def create_model_card(self, *_: object, **__: object) -> None:
        """Writes nothing: the card belongs to the finished adapter."""

    def _send_telemetry(self) -> None:
        pass  # nothing leaves the machine that the user did not ask for

    def floating_point_ops(self, inputs: object) -> int:
        """Returns 0: counting costs a walk over all parameters on every step, and nothing reads it."""
        return 0


def trainable(model: Any) -> list[tuple[str, torch.Tensor]]:
    """Returns the adapter's parameters by name."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def load_trainable(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Sets the adapter's parameters."""
    with torch.no_grad():
        for name, parameter in trainable(model):
            parameter.copy_(weights[name])
