"""What a run's configuration gives to the filter: benchmark items, the reward model, and what its cache key needs.

Used by stage filter, by stage generate where it writes until enough records pass, and by `sit filter` on files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import NANO_BENCHMARKS, Config, EvaluateConfig
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import NANO, content_key, load_benchmarks
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.preference.reward.input import reward_settings

if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
    from synthetic_instruction_tuner.filtering.rules.reward import RewardScorer, Scorer

REWARD_BATCHES = 4  # batches of answers that are scored between commits


def part(config: Config) -> dict[str, Any]:
    """Returns what the verdicts depend on."""
    chosen = config.filter
    settings = chosen.model_dump(mode="json")
    for place in ("folder", "files"):  # their content counts, not their place
        settings["contamination"].pop(place)
    settings["contamination"]["match"] = chosen.contamination.common_match
    found: dict[str, Any] = {"filter": settings}
    if items := content_key(config.contamination):
        found["benchmarks"] = items
    if NANO in chosen.contamination.benchmarks:
        found["evaluate"] = {name: {"items": n} for name, n in _nano_counts(config).items()}
    if chosen.tags.model:
        found["tags_model"] = identity(chosen.tags.model)
    if chosen.min_reward is not None:
        found["reward"] = identity(config.models.reward) | reward_settings(config.prefer)
    return found


def quality_filter(config: Config) -> QualityFilter:
    """Returns the configuration's filter."""
    from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter

    return QualityFilter(config.filter, benchmark_sets(config), reward_scorer(config), config.engine)


def benchmark_sets(config: Config) -> list[BenchmarkSet]:
    """Returns the items of the benchmarks that the filter's settings name, as far as they are on this machine."""
    return generated_sets(config) + load_benchmarks(config.contamination)


def generated_sets(config: Config) -> list[BenchmarkSet]:
    """Returns the items that are generated, not read: the embedded models' benchmarks, if the settings name them."""
    return _nano_sets(config) if NANO in config.filter.contamination.benchmarks else []


def reward_scorer(config: Config) -> RewardScorer:
    """Returns the configuration's reward model, not yet loaded."""
    from synthetic_instruction_tuner.filtering.rules.reward import RewardScorer

    @contextmanager
    def load() -> Iterator[Scorer]:
        from synthetic_instruction_tuner.preference.reward.model import open_reward_model

        hardware = detect(config.engine.device)
        with open_reward_model(config.models.reward, config.prefer, config.engine, hardware) as model:
            yield model

    batch = REWARD_BATCHES * config.prefer.batch
    return RewardScorer(config.models.reward, reward_settings(config.prefer), batch, load)


def _nano_counts(config: Config) -> dict[str, int]:
    return {name: config.evaluate.settings(name).items for name in NANO_BENCHMARKS}


def _nano_sets(config: Config) -> list[BenchmarkSet]:
    """All benchmarks of the embedded models, also those that `evaluate.benchmarks` leaves out.

    The records then stay the same when another benchmark is added later. Their items have few forms, so that most
    records are similar to one: only equal ones count, unless the settings say otherwise.
    """
    return [_nano_set(name, count) for name, count in _nano_counts(config).items()]


@cache
def _nano_set(name: str, count: int) -> BenchmarkSet:
    """So many items of one benchmark; they depend on nothing else, and take a while to make."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark

    items = benchmark(name).items(EvaluateConfig().settings(name).model_copy(update={"items": count}))
    known = tuple(BenchmarkItem(f"{name}/{item.id}", item.prompt) for item in items)
    return BenchmarkSet(name, known, "generated", len(known), match="exact")
