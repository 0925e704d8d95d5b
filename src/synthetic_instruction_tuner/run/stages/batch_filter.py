"""The quality filter, batch by batch, for the stage generate: with a target, it writes until enough records pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.data_generation.target import Failure
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.filtering.advice import advice
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rule import FilterResult, TextRule
from synthetic_instruction_tuner.records import Record


class BatchFilter:
    """Checks records as they come; a result depends on the records before it, not on how they are batched.

    Rules that need a model of their own are left to the stage filter.

    Attributes:
        later: the names of those rules.
    """

    def __init__(self, config: FilterConfig, benchmarks: Sequence[BenchmarkSet] | None = None) -> None:
        """Takes the filter's settings, and the benchmark items that no record may hold.

        Without `benchmarks` they are those that the settings name and this machine has.
        """
        self._config = config
        rules = QualityFilter(config, benchmarks)
        self.later = tuple(rule.name for rule in rules.rules if not isinstance(rule, TextRule))
        rules.rules = [rule for rule in rules.rules if isinstance(rule, TextRule)]
        self._queue = _Queue()
        self._results = rules.check(self._queue)

    def check(self, records: Sequence[Record]) -> list[FilterResult]:
        """Returns the filter's results for the next records."""
        self._queue.extend(records)
        return [next(self._results) for _ in records]

    def failures(self, records: Sequence[Record]) -> list[Failure | None]:
        """Returns for each of the next records the first rule that it fails, or None where it passes."""
        asked = [record.provenance.get("language") for record in records]
        failed = zip((result.first_failure for result in self.check(records)), asked, strict=True)
        return [Failure(v.rule, advice(v, self._config, language)) if v else None for v, language in failed]


class _Queue(deque[Record]):
    """Records to be checked. Its iterator ends when the queue is empty, and goes on when more have come."""

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        if not self:
            raise StopIteration
        return self.popleft()
