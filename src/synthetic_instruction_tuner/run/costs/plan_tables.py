"""The tables of a plan: models, stages, and what each model does in each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.models.files import cached_folder, local_folder, shape
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.run.costs.estimates import StageEstimate
from synthetic_instruction_tuner.run.roles import used_models

HALF_PRECISION = 2  # bytes of a weight, as nearly all are published
ORIGINS = {"files": "", "known": "", "guess": ", guessed"}


def download_gb(model: ModelConfig) -> float | None:
    """Returns how much of a model is to be downloaded, in GB of 1e9 bytes; None where nobody knows.

    Nothing is asked on the Hub: a model that is not in its cache is two bytes per weight. Of a model on a server
    nothing but a tokenizer is downloaded.
    """
    if model.url or local_folder(model) or cached_folder(model):
        return 0.0
    size = shape(model)
    return size.parameters * HALF_PRECISION / 1e9 if size else None


def downloads_gb(config: Config) -> float:
    """Returns what all models take to download, each once, as far as that is known."""
    return sum({model.path: download_gb(model) or 0.0 for _, model in used_models(config)}.values())


def models_table(config: Config) -> Table:
    """Returns the models with their roles and sizes."""
    table = Table(
        Column("role", key=True), Column("model", "name"), Column("parameters", "whole"), Column("download", "whole"),
        Column("from"),
    )  # fmt: skip
    for role, model in used_models(config):
        gb = download_gb(model)
        download = "unknown" if gb is None else gigabytes(gb) if gb else ""
        origin = "server" if model.url else "local folder" if local_folder(model) else "Hugging Face Hub"
        table.add(role, model.path, _size(model), download, origin)
    return table


def stages_table(estimates: Sequence[StageEstimate], titles: Mapping[str, str], price: float | None) -> Table:
    """Returns the stages with what they take.

    Args:
        estimates: the stages.
        titles: of each stage, where its estimate does not say what it does.
        price: of an hour; None: no prices are shown.
    """
    columns = [Column("stage", "name", key=True), Column("time", "whole"), Column("memory", "whole")]
    columns += [Column("disk", "whole"), *([Column("price", "whole")] if price is not None else []), Column("what")]
    table = Table(*columns)
    for e in estimates:
        cells = [e.stage, duration(e.seconds), gigabytes(e.memory_gb) if e.memory_gb else ""]
        cells.append(gigabytes(e.disk_gb) if e.disk_gb >= 0.001 else "")
        if price is not None:
            cells.append(money(e.seconds, price))
        table.add(*cells, e.detail or titles[e.stage])
    return table


def tasks_table(estimates: Sequence[StageEstimate]) -> Table:
    """Returns what each model does in each stage: format, engine, batch, memory, tokens and time."""
    table = Table(
        Column("model", "name", key=True), Column("weights", "whole"),
        Column("engine", "whole"), Column("batch", "whole"), Column("memory", "whole"), Column("tokens", "whole"),
        Column("time", "whole"),
    )  # fmt: skip
    for e in estimates:
        if e.tasks:
            table.add(f"{e.stage}:", *[""] * 6, style="bold")
        for task in e.tasks:
            table.add(
                task.model, task.number_format, task.engine, task.batch, gigabytes(task.memory_gb),
                millions(task.tokens), duration(task.seconds),
            )  # fmt: skip
    return table


def money(seconds: float, price: float) -> str:
    """Returns what a time costs, at a price per hour."""
    return f"{seconds / 3600 * price:,.2f}"


def millions(tokens: float) -> str:
    """Returns a number of tokens in thousands or millions."""
    return f"{tokens / 1e6:.1f} M" if tokens >= 999_500 else f"{tokens / 1e3:,.0f} k"


def _size(model: ModelConfig) -> str:
    found = shape(model)
    if found is None:
        return "unknown"
    number = f"{found.parameters / 1e9:.2f} B" if found.parameters >= 1e8 else f"{found.parameters / 1e6:.2f} M"
    return number + ORIGINS[found.origin]
