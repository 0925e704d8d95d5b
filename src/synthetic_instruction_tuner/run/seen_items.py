"""Which items of the benchmarks the students have read in training, and the scores on the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import NANO_BENCHMARKS, Config
from synthetic_instruction_tuner.evaluation.benchmarks.base import plain_name
from synthetic_instruction_tuner.records import PreferencePair, Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

Results = Mapping[tuple[str, str], Sequence["BenchmarkResult"]]


def seen_items(config: Config, records: Sequence[Record], pairs: Sequence[PreferencePair]) -> dict[str, set[str]]:
    """Returns by benchmark the ids of the items that the training data contain.

    Items are looked for whole in all texts (`evaluation.contamination`). Those of public benchmarks are also looked for
    with the filter's rule, which finds what is edited or cut.
    """
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

    found = Evaluator(config.evaluate).seen(texts_of(records, pairs))
    public = [name for name in found if name not in NANO_BENCHMARKS]
    return found | {name: found[name] | _overlapping(config, name, records, pairs) for name in public}


def clean_scores(results: Results, seen: Mapping[str, set[str]]) -> dict[str, dict[str, Any]]:
    """Returns what the report shows of each benchmark: the items found, and each variant's score without them."""
    found: dict[str, dict[str, Any]] = {name: {"found": sorted(ids), "clean": []} for name, ids in seen.items()}
    for (model, variant), own in results.items():
        for result in own:
            ids = seen.get(name := plain_name(result.benchmark), set())
            kept = tuple(item for item in result.items if item.id not in ids)
            if ids and kept:
                value = replace(result, items=kept).estimate()
                error = None if math.isnan(value.standard_error) else value.standard_error
                row = {"model": model, "variant": variant, "metric": result.headline, "n": value.n}
                row |= {"value": value.value, "standard_error": error, "clusters": value.clusters}
                found[name]["clean"].append(row)
    return found


def texts_of(records: Iterable[Record], pairs: Iterable[PreferencePair]) -> Iterator[str]:
    """Yields every text that a student reads in training."""
    for record in records:
        yield record.instruction
        yield record.response
        yield from (message.content for message in record.history)
    for pair in pairs:
        yield from (pair.instruction, pair.chosen, pair.rejected)


def _overlapping(config: Config, name: str, records: Sequence[Record], pairs: Sequence[PreferencePair]) -> set[str]:
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
    from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
    from synthetic_instruction_tuner.evaluation.contamination import asked
    from synthetic_instruction_tuner.filtering.contamination.rule import Contamination

    items = benchmark(name).items(config.evaluate.settings(name))
    known = tuple(
        BenchmarkItem(item.id, text, tuple(getattr(item, "options", ())))
        for item in items
        for text in ([item.question] if hasattr(item, "question") else asked(item))
    )
    rule = Contamination([BenchmarkSet(name, known)], "overlap")
    read = [*records, *(Record(pair.id, pair.instruction, pair.chosen) for pair in pairs)]
    return {hit[0] for record in read for hit in rule.signal(record)}
