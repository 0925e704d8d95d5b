"""What the numbers say, in sentences that are computed from them.

A difference is called one when its paired test gives p < 0.01. Because many tests are made, each sentence also says how
many of its differences stay below 0.01 after Holm's correction over all tests of headline metrics (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.statistics import holm
from synthetic_instruction_tuner.reporting.report_data import VARIANTS, ReportData, Score, in_order

ALPHA = 0.01
REFERENCES = ("base", "sft")


@dataclass(frozen=True, slots=True)
class Test:
    """One paired comparison of a student's variant with another of its variants.

    Attributes:
        delta: score minus reference score.
        p: two-sided p-value of the paired test.
        p_holm: the same, corrected for all tests of headline metrics.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    score: Score
    reference: str
    delta: float
    p: float
    p_holm: float

    @property
    def direction(self) -> int:
        """1 above the reference, -1 below it, 0 when there is no evidence of a difference."""
        return 0 if self.p >= ALPHA or self.delta == 0 else int(math.copysign(1, self.delta))


@dataclass(frozen=True, slots=True)
class Finding:
    """The tests of one variant against one reference on one benchmark, over all students."""

    benchmark: str
    metric: str
    variant: str
    reference: str
    tests: tuple[Test, ...]

    @property
    def above(self) -> list[Test]:
        """The tests with a difference upwards."""
        return [t for t in self.tests if t.direction > 0]

    @property
    def below(self) -> list[Test]:
        """The tests with a difference downwards."""
        return [t for t in self.tests if t.direction < 0]

    def sentence(self) -> str:
        """Returns the finding in words."""
        ours, theirs = VARIANTS.get(self.variant, self.variant), VARIANTS.get(self.reference, self.reference)
        where, count = f"{self.benchmark} ({self.metric})", len(self.tests)
        told = self.above + self.below
        if not told:
            largest = max(abs(t.delta) for t in self.tests)
            return (
                f"{where}: no evidence of a difference between {ours} and {theirs} for any of {_students(count)} "
                f"(largest difference {largest:.3f}, smallest p {_p(min(t.p for t in self.tests))})."
            )
        parts = [
            f"{word} {theirs} for {len(tests)} of {_students(count)} ({_span([t.delta for t in tests])})"
            for word, tests in (("above", self.above), ("below", self.below))
            if tests
        ]
        rest = count - len(told)
        open_ones = f"; no evidence of a difference for {rest}" if rest else ""
        held = sum(t.p_holm < ALPHA for t in told)
        return (
            f"{where}: {ours} is {' and '.join(parts)}, paired p < {ALPHA}{' each' if len(told) > 1 else ''}; "
            f"{held} of {len(told)} still after correction{open_ones}."
        )


def all_tests(data: ReportData) -> list[Test]:
    """Returns every paired comparison of the headline metrics, corrected together."""
    found = []
    for score in data.headline_scores:
        for reference in REFERENCES:
            delta, p = getattr(score, f"delta_to_{reference}"), getattr(score, f"p_to_{reference}")
            if score.variant not in ("base", reference) and delta is not None and p is not None and not math.isnan(p):
                found.append((score, reference, delta, p))
    corrected = holm([p for *_, p in found])
    return [Test(score, ref, delta, p, q) for (score, ref, delta, p), q in zip(found, corrected, strict=True)]


def findings(data: ReportData) -> list[Finding]:
    """Returns the findings by benchmark, reference and variant."""
    tests = all_tests(data)
    result = []
    for benchmark, metric in data.headlines.items():
        for reference in REFERENCES:
            for variant in in_order([t.score.variant for t in tests]):
                wanted = (benchmark, reference, variant)
                group = tuple(t for t in tests if (t.score.benchmark, t.reference, t.score.variant) == wanted)
                if group:
                    result.append(Finding(benchmark, metric, variant, reference, group))
    return result


def _students(count: int) -> str:
    return f"{count} student{'' if count == 1 else 's'}"


def _span(deltas: Sequence[float]) -> str:
    low, high = min(deltas), max(deltas)
    shown = f"{low:+.3f}" if f"{low:+.3f}" == f"{high:+.3f}" else f"{low:+.3f} to {high:+.3f}"
    return shown.replace("-", "−")


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"
