"""In which number format a run holds each of its models on this machine, and how it says so.

A model that writes takes 4 bits where 16 leave no room for a few texts at once. A student takes them where one of its
trainings, or its evaluation, would not fit. All of its variants use the same weights: those that its first adapter was
trained on, also where the run goes on on another machine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from synthetic_instruction_tuner.config import Config, ModelConfig, tuned_students
from synthetic_instruction_tuner.engines.choice import on_a_server
from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.models.families import may_be_packed
from synthetic_instruction_tuner.models.files import ModelShape, shape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import FOUR_BITS, NumberFormat, model_format
from synthetic_instruction_tuner.models.quantization.held import few_rows, reading_format, settled, writing_format
from synthetic_instruction_tuner.models.working_memory import Tuned, decoding_gb, tuning_gb
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.roles import JUDGE
from synthetic_instruction_tuner.run.store import Store


def writer_format(config: Config, hardware: Hardware, model: ModelConfig, stage: str) -> NumberFormat:
    """Returns the format of a model that writes in a stage and is no student."""
    size = shape(model)
    beside = decoding_gb(size, _rows(config), _longest(config, model, stage)) if size else 0.0
    return model_format(model, hardware, config.engine.dtype, beside)


def reader_format(config: Config, hardware: Hardware) -> NumberFormat:
    """Returns the format of the reward model."""
    tokens = config.prefer.reward_batch_size * config.prefer.reward_max_tokens
    return reading_format(config.models.reward, hardware, config.engine.dtype, tokens)


def student_format(config: Config, hardware: Hardware, model: ModelConfig, trained_on: str | None) -> NumberFormat:
    """Returns the format of a student, which all of its trainings and variants share.

    Args:
        config, hardware: the run's settings, and the machine.
        model: the student.
        trained_on: see `trained_on`.
    """
    size, dtype = shape(model), config.engine.dtype
    if trained_on is not None:
        found = model_format(model, hardware, dtype, wanted=bool(trained_on))
        return NumberFormat(found.weights, found.compute, "as it was trained") if found.quantized else found
    beside = max(_student_needs(config, model, size, hardware.device)) if size else 0.0
    return model_format(model, hardware, dtype, beside)


def trained_on(store: Store, keys: Mapping[str, str], student: ModelConfig) -> str | None:
    """Returns how a student's base weights were held in its first training; "" unquantized, None before any training.

    Args:
        store: the run's.
        keys: the keys of the stages.
        student: the base model.
    """
    for method in METHODS:
        if (key := keys.get(method.name)) is not None:
            for row in store.rows(f"{method.name}:{key}:{student.name}"):
                return str(row["metrics"].get("quantized", ""))
    return None


def as_trained(folder: RunFolder, student: ModelConfig) -> ModelConfig:
    """Returns a student with the weights that it was trained on in place of ``auto``, by the files of its trainings."""
    for method in METHODS:
        file = folder.model(method.name, student.name) / "metrics.json"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            quantized = json.loads(file.read_text(encoding="utf-8")).get("quantized", "")
            return settled(student, NumberFormat(quantized, "", "")) if quantized in FOUR_BITS else student
    return student


def format_lines(config: Config, hardware: Hardware, roles: list[tuple[str, ModelConfig]]) -> list[str]:
    """Returns a line for each model that is held in 4 bits, or quantized in its files, and why."""
    found = [(role, model, role_format(config, hardware, role, model)) for role, model in roles]
    lines = [f"{role} {model.name}: {held.describe()}" for role, model, held in found if held and held.quantized]
    return list(dict.fromkeys(lines))


def role_format(config: Config, hardware: Hardware, role: str, model: ModelConfig) -> NumberFormat | None:
    """Returns the format of a model in its role; None where no weights are loaded here."""
    if role == "student":
        return student_format(config, hardware, model, None)
    if role == "reward model":
        return reader_format(config, hardware)
    if role == JUDGE:  # never on the generator's server
        return None if model.url else writing_format(model, hardware, config.engine.dtype, config.engine.batch_size)
    if role == "tokenizer" or on_a_server(model, config.engine):
        return None
    if role == "tagging model":  # the filter opens it by itself
        return writing_format(model, hardware, config.engine.dtype, config.engine.batch_size)
    return writer_format(config, hardware, model, "generate" if role == "generator" else "prefer")


def _student_needs(config: Config, model: ModelConfig, size: ModelShape, device: str) -> list[float]:
    """Returns what a student's work takes beside its weights, in GB: writing, and each of its trainings."""
    found = [decoding_gb(size, _rows(config), max(1024, config.prefer.sampling.max_new_tokens))]
    for method in METHODS:
        if model in tuned_students(config, method):
            settings = config.train.of(method)
            tokens, tuned = largest_micro_batch(config, method), what_is_tuned(method)
            rank = config.train.sft.lora.r
            again, packed = settings.gradient_checkpointing, may_be_packed(model, config.train, method.name, device)
            found.append(tuning_gb(size, tokens, again, tuned=tuned, rank=rank, packed=packed))
    return found


def largest_micro_batch(config: Config, method: Method) -> float:
    """Returns a largest micro-batch's tokens: rows of similar length share one, so all may be the longest."""
    settings = config.train.of(method)
    virtual = config.train.prompt_tuning.num_virtual_tokens if method.name == "prompt_tuning" else 0
    rows = settings.per_device_train_batch_size * (2 if method.trains_on == "pairs" else 1)
    return float(rows * (settings.max_length + virtual))


def what_is_tuned(method: Method) -> Tuned:
    """Returns what a method tunes."""
    if method.trains_on == "pairs":
        return "pairs"
    return "soft_prompt" if method.name == "prompt_tuning" else "lora"


def _rows(config: Config) -> int:
    return few_rows(config.engine.batch_size)


def _longest(config: Config, model: ModelConfig, stage: str) -> float:
    """Returns the tokens of the longest text that a model writes in a stage, with what it reads."""
    generate, prefer = config.generate, config.prefer
    conversation = generate.turns * (generate.instruction.max_new_tokens + generate.response.max_new_tokens)
    if stage == "prefer" and model == config.models.judge:
        return conversation + 2 * prefer.sampling.max_new_tokens + prefer.judge.sampling.max_new_tokens
    if stage == "generate":
        return conversation
    return conversation - generate.response.max_new_tokens + prefer.sampling.max_new_tokens  # the last is written anew
