"""What one variant did on one benchmark, item by item, in a form that is written to disk and compared later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.statistics import Estimate


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item of a benchmark with a model's outputs and their scores.

    Attributes:
        id: the item's name, the same for every model.
        prompts: the user's turns.
        outputs: the model's answer to each turn; for multiple choice the chosen option.
        scores: observations by metric: one per item, or one per rule or turn. All of an item's observations are one
            cluster.
        labels: the kinds that the item belongs to, for breakdowns: one per rule, or its subject; often none.
    """

    id: str
    prompts: tuple[str, ...]
    outputs: tuple[str, ...]
    scores: dict[str, tuple[float, ...]]
    labels: tuple[str, ...] = ()

    def conversation(self, turn: int) -> list[Message]:
        """Returns the messages up to and including the user's turn of that number, counted from 0."""
        messages: list[Message] = []
        for prompt, output in zip(self.prompts[:turn], self.outputs[:turn], strict=True):
            messages += [Message("user", prompt), Message("assistant", output)]
        return [*messages, Message("user", self.prompts[turn])]


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """All items of one benchmark for one variant.

    Attributes:
        benchmark: the benchmark's name.
        headline: the metric by which variants are compared.
        items: the items, in the benchmark's order.
        n_truncated: answers that hit the token limit; where answers are chosen by log-likelihood, items that were too
            long for the model to be read whole, in the headline's form of the prompt.
        n_empty: answers without any text.
        n_unparsed: answers from which no choice can be read, or for which no rating of the judge can be read.
        seconds: wall time; neither compared nor written, so that the same answers give the same bytes.
    """

    benchmark: str
    headline: str
    items: tuple[ItemResult, ...]
    n_truncated: int = 0
    n_empty: int = 0
    n_unparsed: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every item has, headline first."""
        shared = [m for m in self.items[0].scores if all(m in item.scores for item in self.items)]
        return tuple(sorted(shared, key=lambda metric: metric != self.headline))

    def clusters(self, metric: str) -> list[tuple[float, ...]]:
        """Returns the metric's observations, item by item."""
        return [item.scores[metric] for item in self.items]

    def estimate(self, metric: str | None = None) -> Estimate:
        """Returns the mean of a metric (the headline when None) with its error."""
        name = metric or self.headline
        return self.estimate_of(self.clusters(name), name)

    def estimate_of(self, clusters: Sequence[Sequence[float]], metric: str) -> Estimate:
        """Returns the mean of some observations of a metric, with an interval of possible values."""
        from synthetic_instruction_tuner.evaluation import statistics
        from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric

        found, known = statistics.estimate(clusters, self.is_share(metric)), described_metric(self.benchmark, metric)
        if known is None or math.isnan(found.low):
            return found
        low, high = known.within(found.low, found.high)
        return replace(found, low=low, high=high)

    def is_share(self, metric: str) -> bool | None:
        """Returns whether a metric is a share of right answers; None where the benchmark does not say."""
        from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric

        known = described_metric(self.benchmark, metric)
        return None if known is None else known.span == 1

    def with_scores(self, metric: str, scores: Sequence[Sequence[float]]) -> BenchmarkResult:
        """Returns the result with one more metric, given item by item."""
        pairs = zip(self.items, scores, strict=True)
        return replace(self, items=tuple(replace(i, scores=i.scores | {metric: tuple(s)}) for i, s in pairs))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values without clock or path, from which `from_json` makes an equal result."""
        data = asdict(self)
        del data["seconds"]
        if not self.n_unparsed:
            del data["n_unparsed"]
        for item in data["items"]:
            if not item["labels"]:
                del item["labels"]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any], seconds: float = 0.0) -> BenchmarkResult:
        """Returns the result that `to_json` wrote."""
        return cls(**(data | {"items": tuple(map(_read_item, data["items"])), "seconds": seconds}))


def _read_item(data: dict[str, Any]) -> ItemResult:
    lists = {name: tuple(data.get(name, ())) for name in ("prompts", "outputs", "labels")}
    return ItemResult(**(data | lists | {"scores": {m: tuple(s) for m, s in data["scores"].items()}}))
