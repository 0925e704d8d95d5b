"""What the filter judges by, for the stages that judge: filter, and generate where it writes until enough pass."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.config import BENCHMARKS, Config
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import NANO, content_key, load_benchmarks
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.preference.reward.input import reward_settings


def part(config: Config) -> dict[str, Any]:
    """Returns what the verdicts depend on."""
    chosen = config.filter
    settings = chosen.model_dump(mode="json")
    for place in ("folder", "files"):  # what lies there counts, not where
        settings["contamination"].pop(place)
    found: dict[str, Any] = {"filter": settings}
    if items := content_key(chosen.contamination):
        found["benchmarks"] = items
    if NANO in chosen.contamination.benchmarks:
        found["nano_items"] = _nano_counts(config)
    if chosen.tags.model:
        found["tags_model"] = identity(chosen.tags.model)
    if chosen.min_reward is not None:
        found["reward"] = identity(config.models.reward) | reward_settings(config.prefer)
    return found


def benchmark_sets(config: Config) -> list[BenchmarkSet]:
    """Returns the items of the benchmarks that the filter's settings name, as far as they are on this machine."""
    chosen = config.filter.contamination
    nano = _nano_sets(config) if NANO in chosen.benchmarks else []
    return nano + load_benchmarks(chosen)


def _nano_counts(config: Config) -> dict[str, int]:
    return {name: config.evaluate.settings(name).items for name in BENCHMARKS}


def _nano_sets(config: Config) -> list[BenchmarkSet]:
    """The benchmarks that the run evaluates on."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark

    sets = []
    for name in BENCHMARKS:
        items = benchmark(name).items(config.evaluate.settings(name))
        known = tuple(BenchmarkItem(f"{name}/{item.id}", item.prompt) for item in items)
        sets.append(BenchmarkSet(name, known, "generated", len(known)))
    return sets
