"""What LoRA SFT and prompt tuning have in common: both learn the responses of records by next-token prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from transformers import set_seed
from trl import SFTConfig as TrlSftConfig
from trl import SFTTrainer

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import ModelConfig, TrainerConfig
from synthetic_instruction_tuner.models.architecture import longest_text
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer
from synthetic_instruction_tuner.models.quantization.layers import adapters_in_float32
from synthetic_instruction_tuner.models.running import require_known_tokens, running
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.training.exact_resume import ExactResume
from synthetic_instruction_tuner.training.examples import highest_token, sft_batch, tokenize_records
from synthetic_instruction_tuner.training.files.workspace import OnNote, Workspace
from synthetic_instruction_tuner.training.metrics import TrainingMetrics
from synthetic_instruction_tuner.training.run_training import (
    Job,
    collator,
    job_fingerprint,
    one_gpu,
    prepare,
    quiet,
    row_numbers,
    run_training,
    trainer_arguments,
)
from synthetic_instruction_tuner.training.watch import OnStep


class SupervisedTrainer(ExactResume, SFTTrainer):  # type: ignore[misc]
    """TRL's trainer on batches that are already tokenized."""


class Supervised(ABC):
    """Tunes a base model on records; the subclass decides what is trained."""

    method: ClassVar[str]
    report_to: Sequence[str] = ()
    """Trackers that each step is reported to (``train.report_to``)."""

    def __init__(self, config: TrainerConfig, seed: int = 0, device: str = "cpu", dtype: str = "float32") -> None:
        """Keeps the settings; nothing is loaded.

        Args:
            config: the method's settings.
            seed: fixes initialization, order and dropout.
            device: ``cpu`` or ``cuda``.
            dtype: the type of the frozen weights, ``float32``, ``float16`` or ``bfloat16``; what is trained is float32.
        """
        self.config, self.seed, self.device, self.dtype = config, seed, device, dtype

    @property
    def virtual_tokens(self) -> int:
        """How many of the model's positions are not for the text."""
        return 0

    @abstractmethod
    def add_adapter(self, base: Any, tokenizer: Any) -> Any:
        """Returns the base model with what is to be trained."""

    def notes(self, base: Any) -> list[str]:
        """Returns what the user should know of how this model is tuned."""
        return []

    def train(
        self,
        model: ModelConfig,
        records: Sequence[Record],
        output: Path,
        on_step: OnStep | None = None,
        on_note: OnNote | None = None,
    ) -> TrainingMetrics:
        """Trains, or resumes training, and returns its metrics; the adapter is then in ``output/final``.

        Called again with the same arguments after a crash, it continues from the last checkpoint and ends with the same
        adapter as without the crash. With other arguments it starts over.

        Args:
            model: the base model.
            records: the training data; responses are learned, prompts are only read.
            output: the folder for the adapter, the log, the metrics and the order of the data.
            on_step: called after each step.
            on_note: called with what is damaged in the folder and therefore not used, and with which layers are tuned.

        Raises:
            UserError: there is nothing to train on.
            RunError: out of GPU memory, or the training diverged.
        """
        tokenizer = load_tokenizer(model)
        longest = longest_text(model, self.config.max_length, self.virtual_tokens)
        data = tokenize_records(records, ChatTemplate.from_tokenizer(tokenizer), longest)
        mark = job_fingerprint(self.method, model, self.config, self.seed, self.device, self.dtype, data.rows)
        work = Workspace(output, mark, on_note)
        if finished := work.done():
            return finished
        job = Job(self.method, model, self.config, self.seed, self.device, self.dtype, data, work, self.report_to)
        checkpoint = work.open()
        base = load_causal_lm(model, self.dtype, self.device)
        require_known_tokens(model.name, base, highest_token(data.rows))
        for note in self.notes(base):
            if on_note:
                on_note(note)
        set_seed(self.seed)
        with quiet(), running(model.name, "be trained"), adapters_in_float32(base):
            trainer = SupervisedTrainer(
                model=self.add_adapter(base, tokenizer),
                args=one_gpu(TrlSftConfig(**trainer_arguments(job))),
                train_dataset=row_numbers(job),
                data_collator=collator(job.order, sft_batch),
                processing_class=tokenizer,
            )
        return run_training(job, prepare(job, trainer), checkpoint, on_step)
