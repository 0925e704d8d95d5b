"""The facts of a run that an export's card shows: training, its cost and its data; `measured` has the results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig, starting_method
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.exporting.card import CardFacts
from synthetic_instruction_tuner.methods import Method
from synthetic_instruction_tuner.reporting.formatting import gigabytes
from synthetic_instruction_tuner.reporting.licenses import card_license, strictest
from synthetic_instruction_tuner.reporting.model_facts import model_facts
from synthetic_instruction_tuner.run.exports.measured import (
    contamination_lines,
    is_evaluated,
    limit_lines,
    measured_scores,
)
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.roles import data_models
from synthetic_instruction_tuner.run.store import Store

_SHOWN = (
    ("learning_rate", "learning rate"),
    ("lr_scheduler_type", "schedule"),
    ("warmup_ratio", "warm-up"),
    ("max_length", "longest example, in tokens"),
    ("num_virtual_tokens", "virtual tokens"),
    ("prompt_tuning_init", "beginning"),
    ("prompt_tuning_init_text", "initial text"),
    ("beta", "beta"),
    ("sft_weight", "weight of the SFT loss"),
)


def training_metrics(folder: RunFolder, method: str, student: ModelConfig) -> dict[str, Any]:
    """Returns what is known of a training; nothing where its file cannot be read."""
    try:
        found = json.loads((folder.model(method, student.name) / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def card_facts(
    config: Config, folder: RunFolder, student: ModelConfig, method: Method, evaluated: bool | None = None
) -> CardFacts:
    """Returns the facts of one variant.

    Args:
        config: the run's settings.
        folder: the run.
        student: the base model.
        method: how it was tuned.
        evaluated: whether stage evaluate is up to date; None: the run's files are verified to know it.
    """
    metrics = training_metrics(folder, method.name, student)
    own_license = model_facts("student", student).license
    known = is_evaluated(config, folder) if evaluated is None else evaluated
    scores = measured_scores(folder, student, method) if known else []
    return CardFacts(
        label=method.label,
        license=own_license,
        license_head=card_license(own_license),
        training=list(_training(_trained_with(config, folder, method), method, metrics)),
        cost=list(_cost(config, folder, student, method, metrics)),
        data=list(_data(config, method, metrics)),
        scores=scores,
        contamination=contamination_lines(folder, scores),
        limits=limit_lines(config, student, method, scores, own_license),
    )


def _trained_with(config: Config, folder: RunFolder, method: Method) -> dict[str, Any]:
    """Returns the settings of a finished training, and those of LoRA under ``lora``.

    The stage keeps them: the run's own may have changed since.
    """
    now = config.train
    settings = {"lora": now.sft.lora.model_dump(mode="json")} | now.of(method).model_dump(mode="json")
    with suppress(SitError, LookupError, TypeError):
        store = Store.open(folder.store, readonly=True)
        try:
            if state := store.stage("sft"):
                settings["lora"] = state.part["train"]["sft"]["lora"]
            if state := store.stage(method.name):
                kept = state.part["train"]
                settings |= kept[method.name] | ({"lora": kept["lora"]} if "lora" in kept else {})
        finally:
            store.close()
    return settings


def _training(values: dict[str, Any], method: Method, metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "method", method.label
    for name, label in _SHOWN:
        if (value := values.get(name)) not in (None, ""):
            yield label, str(value)
    yield "examples per step", f"{values['per_device_train_batch_size'] * values['gradient_accumulation_steps']:,}"
    if method.name != "prompt_tuning":
        lora = values["lora"]
        yield "LoRA", f"rank {lora['r']}, alpha {lora['lora_alpha']}, dropout {lora['lora_dropout']:g}"
    if not metrics:
        return
    yield "examples, epochs, steps", f"{metrics['examples']:,}, {metrics['epochs']:g}, {metrics['steps']:,}"
    yield "loss, first step and end", f"{metrics['first_loss']:.3f}, {metrics['final_loss']:.3f}"
    held = f" ({metrics['quantized']})" if metrics.get("quantized") else ""
    yield "weights in training", f"{metrics['dtype']}{held}"
    yield "seed", str(metrics["seed"])


def _cost(
    config: Config, folder: RunFolder, student: ModelConfig, method: Method, metrics: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    if not metrics:
        return
    trained, total = metrics["trainable_parameters"], metrics["total_parameters"]
    yield "trained parameters", f"{trained:,} of {total:,} ({trained / total:.2%})"
    yield "time", f"{metrics['seconds']:,.0f} s on {'a CPU' if metrics['device'] == 'cpu' else metrics['device']}"
    start = starting_method(config, method)
    if start and (before := training_metrics(folder, start.name, student)):
        yield f"time of the {start.label} before it", f"{before['seconds']:,.0f} s"
    yield "tokens read", f"{metrics['tokens']:,}, {metrics['tokens_per_second']:,.0f} a second"
    if metrics.get("peak_memory_gb"):
        yield "peak memory", gigabytes(metrics["peak_memory_gb"])
    if metrics.get("energy_wh"):
        yield "energy of the GPU", f"{metrics['energy_wh']:,.1f} Wh"


def _data(config: Config, method: Method, metrics: dict[str, Any]) -> Iterator[str]:
    count = f"{metrics['examples']:,} " if metrics else ""
    what = "preference pairs" if method.trains_on == "pairs" else "instructions with responses"
    if config.data.given:
        yield f"{count}{what}, from the user's own data"
    else:
        yield f"{count}{what}, written by {model_facts('generator', config.models.generator).name} and filtered"
    if method.trains_on == "pairs":
        start = starting_method(config, method)
        yield f"training went on from {start.label}" if start else "training began with the base model"
    licenses = [model_facts(role, model).license for role, model in data_models(config)]
    found = strictest([*licenses, *([config.data.license] if config.data.given else [])])
    yield f"license of the data: {', '.join(found.names)}, the strictest among their sources' ({found.kind})"
    yield from found.notes
