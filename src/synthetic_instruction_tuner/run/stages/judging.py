"""What the filter judges by, for the stages that judge: filter, and generate where it writes until enough pass."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.config import Config
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
    return {name: getattr(config.evaluate, name) for name in ("ifeval_items", "mmlu_items", "mt_items")}


def _nano_sets(config: Config) -> list[BenchmarkSet]:
    """The embedded models' benchmarks. Follow-up questions do not count: what they ask depends on the answer."""
    from synthetic_instruction_tuner.evaluation.benchmarks import nano_ifeval, nano_mmlu, nano_mt

    counts = _nano_counts(config)
    prompts = {
        nano_ifeval.NAME: [(item.id, item.prompt) for item in nano_ifeval.items(counts["ifeval_items"])],
        nano_mmlu.NAME: [(item.id, item.prompt) for item in nano_mmlu.items(counts["mmlu_items"])],
        nano_mt.NAME: [(item.id, item.prompts[0]) for item in nano_mt.items(counts["mt_items"])],
    }
    return [
        BenchmarkSet(name, tuple(BenchmarkItem(f"{name}/{key}", text) for key, text in items), "generated", len(items))
        for name, items in prompts.items()
    ]
