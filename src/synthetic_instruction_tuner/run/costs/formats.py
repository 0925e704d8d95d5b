"""In which number format a run holds each of its models on a machine.

A model that writes takes 4 bits where 16 leave no room for a few texts at once: more rows wait for pages. A student
takes them where one of its trainings, or its evaluation, would not fit; all of its variants then use the same weights.
"""

from __future__ import annotations

from synthetic_instruction_tuner.config import Config, ModelConfig, tuned_students
from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import NumberFormat, choose_format
from synthetic_instruction_tuner.models.working_memory import Tuned, decoding_gb, tuning_gb

FEW_ROWS = 16  # texts that a model must be able to write at once beside its weights


def written_format(
    config: Config, hardware: Hardware, model: ModelConfig, size: ModelShape, length: float
) -> NumberFormat:
    """Returns the format of a model that writes texts of this length, with their prompts."""
    rows = min(config.engine.batch_size, FEW_ROWS)
    return _format(config, hardware, model, size, decoding_gb(size, rows, length))


def read_format(config: Config, hardware: Hardware, model: ModelConfig, size: ModelShape) -> NumberFormat:
    """Returns the format of a reward model."""
    return _format(config, hardware, model, size, 0.0)


def student_format(config: Config, hardware: Hardware, model: ModelConfig, size: ModelShape) -> NumberFormat:
    """Returns the format of a student, which all of its trainings and variants share."""
    beside = [decoding_gb(size, min(config.engine.batch_size, FEW_ROWS), 1024)]
    for method in METHODS:
        if model in tuned_students(config, method):
            settings = config.train.of(method)
            tokens = largest_micro_batch(config, method)
            tuned, rank = what_is_tuned(method), config.train.sft.lora.r
            beside.append(tuning_gb(size, tokens, settings.gradient_checkpointing, 2, tuned, rank))
    return _format(config, hardware, model, size, max(beside))


def largest_micro_batch(config: Config, method: Method) -> float:
    """Returns the tokens of the largest micro-batch: rows of similar length share one, so all may be the longest."""
    settings = config.train.of(method)
    virtual = config.train.prompt_tuning.num_virtual_tokens if what_is_tuned(method) == "soft_prompt" else 0
    rows = settings.per_device_train_batch_size * (2 if method.trains_on == "pairs" else 1)
    return float(rows * (settings.max_length + virtual))


def what_is_tuned(method: Method) -> Tuned:
    """Returns what a method tunes."""
    if method.trains_on == "pairs":
        return "pairs"
    return "soft_prompt" if method.name == "prompt_tuning" else "lora"


def _format(config: Config, hardware: Hardware, model: ModelConfig, size: ModelShape, beside_gb: float) -> NumberFormat:
    return choose_format(size, model.load_in_4bit, hardware, config.engine.dtype, beside_gb)
