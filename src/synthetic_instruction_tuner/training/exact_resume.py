"""What makes a TRL trainer exactly resumable, and free of work that nobody reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler

from synthetic_instruction_tuner.training.files.sealed_folder import seal
from synthetic_instruction_tuner.training.watch import Clock

WEIGHTS = "trainable.safetensors"


class ExactResume:
    """Mixed into a TRL trainer: rows come in the given order, and a resumed run equals an uninterrupted one."""

    model: Any
    state: Any
    args: Any
    clock: Clock
    owner: str

    def _get_train_sampler(self, train_dataset: object = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[attr-defined]

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset  # it holds row numbers only

    def _save(self, output_dir: str, state_dict: object = None) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        weights = {name: p.detach().contiguous() for name, p in trainable(self.model)}
        save_file(weights, str(Path(output_dir, WEIGHTS)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        weights = load_file(str(Path(resume_from_checkpoint, WEIGHTS)))
        with torch.no_grad():
            for name, parameter in trainable(self.model):
                parameter.copy_(weights[name])

    def _save_checkpoint(self, model: object, trial: object) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        folder = Path(self.args.output_dir, f"checkpoint-{self.state.global_step}")
        seal(folder, self.owner, self.clock.facts())

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
