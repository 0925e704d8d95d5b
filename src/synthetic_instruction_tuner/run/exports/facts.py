"""The facts of a run that an export's card shows: training, data, and results that are up to date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig, starting_method
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.exporting.card import CardFacts, Score
from synthetic_instruction_tuner.methods import BASE, Method
from synthetic_instruction_tuner.reporting.model_facts import model_facts
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import preview
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


def card_facts(config: Config, folder: RunFolder, student: ModelConfig, method: Method) -> CardFacts:
    """Returns the facts of one variant.

    Args:
        config: the run's settings.
        folder: the run.
        student: the base model.
        method: how it was tuned.
    """
    metrics = training_metrics(folder, method.name, student)
    return CardFacts(
        label=method.label,
        license=model_facts("student", student).license,
        training=list(_training(_trained_with(config, folder, method), method, metrics)),
        data=list(_data(config, method, metrics)),
        scores=_scores(config, folder, student, method),
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
    yield "trained parameters", f"{metrics['trainable_parameters']:,} of {metrics['total_parameters']:,}"
    held = f" ({metrics['quantized']})" if metrics.get("quantized") else ""
    yield "weights in training", f"{metrics['dtype']}{held}"
    yield "time", f"{metrics['seconds']:,.0f} s on {'a CPU' if metrics['device'] == 'cpu' else metrics['device']}"
    yield "seed", str(metrics["seed"])


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


def _scores(config: Config, folder: RunFolder, student: ModelConfig, method: Method) -> list[Score]:
    """Returns the headline of each benchmark, if stage evaluate is up to date."""
    ours, base = (_results(folder, student, variant) for variant in (method.name, BASE))
    if not ours or not _evaluated(config, folder):
        return []
    found = []
    for name, result in ours.items():
        estimate = result.estimate()
        untuned = base[name].estimate() if name in base else None
        known = (untuned.value, untuned.low, untuned.high) if untuned else None
        values = (estimate.value, estimate.low, estimate.high)
        found.append(Score(name, result.headline, len(result.items), *values, known))
    return found


def _results(folder: RunFolder, student: ModelConfig, variant: str) -> dict[str, Any]:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

    try:
        text = (folder.results / f"{student.name}-{variant}.json").read_text(encoding="utf-8")
        rows = json.loads(text)["benchmarks"]
        return {row["benchmark"]: BenchmarkResult.from_json(row) for row in rows if row["items"]}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _evaluated(config: Config, folder: RunFolder) -> bool:
    with suppress(SitError):
        store = Store.open(folder.store, readonly=True)
        try:
            return any(
                step.stage.name == "evaluate" and step.action == "skip" for step in preview(config, folder, store)
            )
        finally:
            store.close()
    return False
