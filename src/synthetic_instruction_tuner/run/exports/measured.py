"""What a run has measured of a tuned student, for the card of its export: scores, contamination, and their limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.evaluation.benchmarks.base import plain_name
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED
from synthetic_instruction_tuner.exporting.results import Score
from synthetic_instruction_tuner.methods import BASE, Method
from synthetic_instruction_tuner.models.files import EMBEDDED
from synthetic_instruction_tuner.reporting.licenses import strictest
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import preview
from synthetic_instruction_tuner.run.store import Store


def is_evaluated(config: Config, folder: RunFolder) -> bool:
    """Returns whether stage evaluate is up to date; the run's files are verified."""
    with suppress(SitError):
        store = Store.open(folder.store, readonly=True)
        try:
            return any(
                step.stage.name == "evaluate" and step.action == "skip" for step in preview(config, folder, store)
            )
        finally:
            store.close()
    return False


def measured_scores(folder: RunFolder, student: ModelConfig, method: Method) -> list[Score]:
    """Returns the headline of each benchmark, beside that of the untuned student."""
    ours, base = (_results(folder, student, variant) for variant in (method.name, BASE))
    found = []
    for name, result in ours.items():
        estimate = result.estimate()
        untuned = base[name].estimate() if name in base else None
        known = (untuned.value, untuned.low, untuned.high) if untuned else None
        values = (estimate.value, estimate.low, estimate.high)
        plain = plain_name(name)
        published = PUBLISHED[plain].repository if plain in PUBLISHED else None
        found.append(Score(name, result.headline, len(result.items), *values, known, published or ""))
    return found


def contamination_lines(folder: RunFolder, scores: Sequence[Score]) -> list[str]:
    """Returns whether items of the benchmarks are in the training data."""
    known = _fact(folder, "contamination")
    lines = []
    for score in scores:
        found = known.get(plain_name(score.benchmark))
        if found is None:
            lines.append(f"{score.benchmark}: the training data were not searched for its items")
        else:
            count = len(found["found"])
            lines.append(f"{score.benchmark}: {count:,} of {score.items:,} items occur in the training data")
    return lines


def limit_lines(
    config: Config, student: ModelConfig, method: Method, scores: Sequence[Score], license: str | None
) -> list[str]:
    """Returns what nobody should take the model for."""
    return list(_limits(config, student, method, scores, license))


def _limits(
    config: Config, student: ModelConfig, method: Method, scores: Sequence[Score], license: str | None
) -> Iterator[str]:
    if student.path.startswith(EMBEDDED):
        yield "A toy that shows how the pipeline works: it knows a small made-up world, and nothing of this one."
    yield "It has the errors and gaps of its base model, and of the models that wrote its training data."
    yield "No fact in the training data was checked by people, and neither was the safety of its answers."
    if config.data.has_records and config.filter.language:
        yield f"Its training data are in one language ({config.filter.language})."
    if scores:
        fewest = min(score.items for score in scores)
        yield f"Each score is of a sample ({fewest:,} items at least) and one seed: read it with its interval."
    circular = [s.benchmark for s in scores if "reward" in s.metric]
    if circular and method.trains_on == "pairs" and config.prefer.scorer != "judge" and not config.data.pairs:
        named = ", ".join(circular)
        yield f"The reward model that scores {named} also chose the preference pairs: that score favors this model."
    if license:
        yield from strictest([license]).notes
    else:
        yield "The license of its base model is not known here, and must be looked up before it is used."


def _results(folder: RunFolder, student: ModelConfig, variant: str) -> dict[str, Any]:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

    try:
        text = (folder.results / f"{student.name}-{variant}.json").read_text(encoding="utf-8")
        rows = json.loads(text)["benchmarks"]
        return {row["benchmark"]: BenchmarkResult.from_json(row) for row in rows if row["items"]}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _fact(folder: RunFolder, name: str) -> dict[str, Any]:
    with suppress(SitError):
        store = Store.open(folder.store, readonly=True)
        try:
            return dict(store.fact(name) or {})
        finally:
            store.close()
    return {}
