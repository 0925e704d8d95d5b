"""The findings: sentences computed from the numbers.

A difference counts when its paired test gives p < 0.01. Because many tests are made, each sentence also says how many
of its differences remain below 0.01 after Holm's correction over all tests of headline metrics (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.methods import LABELS
from synthetic_instruction_tuner.reporting.formatting import p_value
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

ALPHA = 0.01
EQUIVALENT = 0.05  # level of the two one-sided tests


@dataclass(frozen=True, slots=True)
class Test:
    """One paired comparison of a student's variant with another of its variants."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    row: ComparisonRow
    reference: str
    difference: Difference

    @property
    def direction(self) -> int:
        """1 above the reference, -1 below it, 0 when there is no evidence of a difference."""
        delta, p = self.difference.value, self.difference.p
        return 0 if p >= ALPHA or delta == 0 else int(math.copysign(1, delta))

    @property
    def gain(self) -> float:
        """The difference, above 0 where the variant is better: where lower is better, with its sign turned."""
        return -self.difference.value if self.row.better == "lower" else self.difference.value

    @property
    def improves(self) -> int:
        """1 better than the reference, -1 worse, 0 where that does not hold after Holm's correction."""
        return int(math.copysign(1, self.gain)) if self.holds and self.gain else 0

    @property
    def holds(self) -> bool:
        """Whether there still is evidence after Holm's correction."""
        return self.difference.p_holm is not None and self.difference.p_holm < ALPHA


@dataclass(frozen=True, slots=True)
class Finding:
    """The tests of one variant against one reference on one benchmark, over all students."""

    benchmark: str
    metric: str
    variant: str
    reference: str
    tests: tuple[Test, ...]
    margin: float = 0.0

    @property
    def equivalent(self) -> list[Test]:
        """The tests that show a difference below the margin, as a share of the metric's span."""
        if not self.margin:
            return []
        return [t for t in self.tests if t.row.equivalence(t.reference, self.margin) < EQUIVALENT]

    @property
    def above(self) -> list[Test]:
        """The tests in which the variant scores above the reference."""
        return [t for t in self.tests if t.direction > 0]

    @property
    def below(self) -> list[Test]:
        """The tests in which the variant scores below the reference."""
        return [t for t in self.tests if t.direction < 0]

    def sentence(self, labels: Mapping[str, str] = LABELS) -> str:
        """Returns the finding in words."""
        ours, theirs = labels.get(self.variant, self.variant), labels.get(self.reference, self.reference)
        where, count = f"{self.benchmark} ({self.metric})", len(self.tests)
        differing = self.above + self.below
        if not differing:
            largest = max(abs(t.difference.value) for t in self.tests)
            whom = "the one student" if count == 1 else f"any of {students(count)}"
            return (
                f"{where}: no evidence of a difference between {ours} and {theirs} for {whom} "
                f"(largest difference {largest:.3f}, smallest p {p_value(min(t.difference.p for t in self.tests))}"
                f"{self._detectable()}){self._kept(count)}."
            )
        parts = [
            f"{word} {theirs} for {len(tests)} of {students(count)} ({span([t.difference.value for t in tests])})"
            for word, tests in (("above", self.above), ("below", self.below))
            if tests
        ]
        rest = count - len(differing)
        open_ones = f"; no evidence of a difference for {rest}" if rest else ""
        held = sum(t.holds for t in differing)
        same = self._kept(count)
        return (
            f"{where}: {ours} is {' and '.join(parts)}, paired p < {ALPHA}{' each' if len(differing) > 1 else ''}; "
            f"{held} of {len(differing)} also after correction{open_ones}{same}."
        )

    def _kept(self, count: int) -> str:
        """Says for how many students the two are equivalent; nothing where that is shown for none."""
        shown = len(self.equivalent)
        if not shown:
            return ""
        whom = "" if count == 1 else f" for {shown} of {students(count)}"
        return f"; equivalent within ±{self.margin:g}{whom}"

    def _detectable(self) -> str:
        """Says which difference would have been found; nothing where that is unknown."""
        known = [t.difference.detectable for t in self.tests if not math.isnan(t.difference.detectable)]
        return f", detectable {max(known):.3f}" if known else ""


def all_tests(data: ReportData) -> list[Test]:
    """Returns every paired comparison of the headline metrics."""
    return [Test(row, ref, difference) for row in data.headline_rows for ref, difference in row.differences.items()]


def findings(data: ReportData) -> list[Finding]:
    """Returns the findings by benchmark, reference and variant."""
    tests = all_tests(data)
    result = []
    for benchmark, metric in data.headlines.items():
        for reference in REFERENCES:
            for variant in in_order([t.row.variant for t in tests]):
                wanted = (benchmark, reference, variant)
                group = tuple(t for t in tests if (t.row.benchmark, t.reference, t.row.variant) == wanted)
                if group:
                    result.append(Finding(benchmark, metric, variant, reference, group, data.margin))
    return result


def students(count: int) -> str:
    """Returns the number in words: 1 student, 3 students."""
    return f"{count} student{'' if count == 1 else 's'}"


def span(deltas: Sequence[float]) -> str:
    """Returns the smallest and the largest difference with their signs, or one number where they look the same."""
    low, high = min(deltas), max(deltas)
    shown = f"{low:+.3f}" if f"{low:+.3f}" == f"{high:+.3f}" else f"{low:+.3f} to {high:+.3f}"
    return shown.replace("-", "−")
