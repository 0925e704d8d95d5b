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
from synthetic_instruction_tuner.reporting.language.translation import say
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

    def equivalent(self, margin: float) -> bool:
        """Whether the difference is shown to be below the margin, a share of the metric's span; 0 shows nothing."""
        return bool(margin) and self.row.equivalence(self.reference, margin) < EQUIVALENT

    def is_open(self, margin: float) -> bool:
        """Whether it shows neither a difference, after Holm's correction, nor equivalence within the margin."""
        return not self.improves and not self.equivalent(margin)


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
        return [t for t in self.tests if t.equivalent(self.margin)]

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
            whom = say("the one student") if count == 1 else say("any of {students}", students=students(count))
            return say(
                "{where}: no evidence of a difference between {ours} and {theirs} for {whom} (largest difference "
                "{largest:.3f}, smallest p {p}{detectable}){same}.",
                where=where,
                ours=ours,
                theirs=theirs,
                whom=whom,
                largest=largest,
                p=p_value(min(t.difference.p for t in self.tests)),
                detectable=self._detectable(),
                same=self._kept(count),
            )
        rest = count - len(differing)
        values = {
            "where": where,
            "ours": ours,
            "verdict": self._verdict(theirs),
            "alpha": ALPHA,
            "held": sum(t.holds for t in differing),
            "n": len(differing),
            "rest": say("; no evidence of a difference for {n}", n=rest) if rest else "",
            "same": self._kept(count),
        }
        if len(differing) == 1:
            return say(
                "{where}: {ours} is {verdict}, paired p < {alpha}; {held} of {n} also after correction{rest}{same}.",
                **values,
            )
        return say(
            "{where}: {ours} is {verdict}, paired p < {alpha} each; {held} of {n} also after correction{rest}{same}.",
            **values,
        )

    def _verdict(self, theirs: str) -> str:
        """Says for how many students the variant is above the reference, and for how many below it."""
        above, below = self.above, self.below
        values = {"theirs": theirs, "students": students(len(self.tests))}
        up, down = (span([t.difference.value for t in tests]) if tests else "" for tests in (above, below))
        if not below:
            return say("above {theirs} for {n} of {students} ({deltas})", n=len(above), deltas=up, **values)
        if not above:
            return say("below {theirs} for {n} of {students} ({deltas})", n=len(below), deltas=down, **values)
        return say(
            "above {theirs} for {more} of {students} ({up}) and below {theirs} for {fewer} of {students} ({down})",
            more=len(above),
            up=up,
            fewer=len(below),
            down=down,
            **values,
        )

    def _kept(self, count: int) -> str:
        """Says for how many students the two are equivalent; nothing where that is shown for none."""
        shown = len(self.equivalent)
        if not shown:
            return ""
        if count == 1:
            return say("; equivalent within ±{margin:g}", margin=self.margin)
        return say(
            "; equivalent within ±{margin:g} for {n} of {students}",
            margin=self.margin,
            n=shown,
            students=students(count),
        )

    def _detectable(self) -> str:
        """Says which difference would have been found; nothing where that is unknown."""
        known = [t.difference.detectable for t in self.tests if not math.isnan(t.difference.detectable)]
        return say(", detectable {size:.3f}", size=max(known)) if known else ""


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
    return say("1 student") if count == 1 else say("{n} students", n=count)


def span(deltas: Sequence[float]) -> str:
    """Returns the smallest and the largest difference with their signs, or one number where they look the same."""
    low, high = min(deltas), max(deltas)
    least, most = (f"{value:+.3f}".replace("-", "−") for value in (low, high))
    return least if least == most else say("{low} to {high}", low=least, high=most)
