"""What helped, what did not, and what so many items cannot tell: sentences derived from the paired tests.

A difference is called an improvement only where it holds after Holm's correction over all tests of the headline scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from synthetic_instruction_tuner.reporting.formatting import listed
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections.findings import (
    ALPHA,
    Finding,
    Test,
    all_tests,
    findings,
    span,
    students,
)


def helped(data: ReportData) -> list[str]:
    """Returns a sentence for each comparison in which a variant is better than its reference."""
    return _proven(data, 1)


def hurt(data: ReportData) -> list[str]:
    """Returns a sentence for each comparison in which a variant is worse than its reference."""
    return _proven(data, -1)


def undecided(data: ReportData) -> list[str]:
    """Returns for each benchmark a sentence on what its items cannot tell, and how many items might."""
    found = []
    for name, metric in data.headlines.items():
        tests = [test for test in all_tests(data) if test.row.benchmark == name]
        open_ones = [test for test in tests if test.is_open(data.margin)]
        if open_ones:
            found.append(_open_sentence(name, metric, tests, open_ones, data))
    return found


def equivalences(data: ReportData) -> list[str]:
    """Returns a sentence for each comparison that is shown to be smaller than the margin."""
    return [
        say(
            "{where}: {ours} and {theirs} are equivalent within ±{margin:g} for {n} of {students}.",
            margin=f.margin,
            n=len(f.equivalent),
            students=students(len(f.tests)),
            **_said(f, data),
        )
        for f in findings(data)
        if f.equivalent
    ]


def items_needed(test: Test) -> int | None:
    """Returns how many items a test would need to find the difference that it has measured in 80 % of repetitions.

    The smallest difference that a test can find falls with the root of the number of items, so this is the number of
    items times the square of (detectable / measured). None where either is unknown or nothing was measured.
    """
    found = test.difference
    if math.isnan(found.detectable) or not found.value:
        return None
    return math.ceil(test.row.clusters * (found.detectable / found.value) ** 2)


def _proven(data: ReportData, way: int) -> list[str]:
    """Sentences on what is better (1) or worse (-1) than its reference."""
    found = []
    for finding in findings(data):
        tests = [test for test in finding.tests if test.improves == way]
        if tests:
            values = _said(finding, data) | {
                "n": len(tests),
                "students": students(len(finding.tests)),
                "measured": _measured(tests),
            }
            if way > 0:
                said = say("{where}: {ours} is better than {theirs} for {n} of {students} ({measured}).", **values)
            else:
                said = say("{where}: {ours} is worse than {theirs} for {n} of {students} ({measured}).", **values)
            found.append(said)
    return found


def _measured(tests: Sequence[Test]) -> str:
    """The differences with their largest standard error, where one is known, and the number of items."""
    deltas, size = span([test.difference.value for test in tests]), _items(tests)
    known = [error for test in tests if not math.isnan(error := test.difference.standard_error)]
    if not known:
        return f"{deltas}, {size}"
    return say("{deltas}, standard error at most {error:.3f}, {items}", deltas=deltas, error=max(known), items=size)


def _open_sentence(name: str, metric: str, tests: Sequence[Test], open_ones: Sequence[Test], data: ReportData) -> str:
    pairs: dict[tuple[str, str], int] = {}
    for test in open_ones:
        key = (data.labels.get(test.row.variant, test.row.variant), data.labels.get(test.reference, test.reference))
        pairs[key] = pairs.get(key, 0) + 1
    which = [
        say("{ours} against {theirs} ({students})", ours=ours, theirs=theirs, students=students(n))
        for (ours, theirs), n in pairs.items()
    ]
    said = [
        say(
            "{benchmark} ({metric}): {n} of {all} comparisons are open with {items}: {which}.",
            benchmark=name,
            metric=metric,
            n=len(open_ones),
            all=len(tests),
            items=_items(open_ones),
            which=listed(which),
        )
    ]
    lost = [test for test in open_ones if test.direction]
    if lost:
        said.append(
            say(
                "Of these, {n} had p < {alpha} alone and did not hold after correction.",
                n=len(lost),
                alpha=ALPHA,
            )
        )
    detectable = [t.difference.detectable for t in open_ones if not math.isnan(t.difference.detectable)]
    if detectable:
        low, high = f"{min(detectable):.3f}", f"{max(detectable):.3f}"
        sizes = low if low == high else say("{low} to {high}", low=low, high=high)
        said.append(say("The tests find true differences of {sizes} in 80 % of repetitions.", sizes=sizes))
    closest = max(open_ones, key=lambda test: abs(test.difference.value))
    if (needed := items_needed(closest)) and needed > closest.row.clusters:
        size = f"{closest.difference.value:+.3f}".replace("-", "−")
        said.append(
            say(
                "To find the largest open difference ({size}) as reliably, about {needed:,} items would be needed.",
                size=size,
                needed=needed,
            )
        )
    return " ".join(said)


def _said(finding: Finding, data: ReportData) -> dict[str, object]:
    """What a sentence says of a comparison: where it was made, and between what."""
    labels = data.labels
    return {
        "where": f"{finding.benchmark} ({finding.metric})",
        "ours": labels.get(finding.variant, finding.variant),
        "theirs": labels.get(finding.reference, finding.reference),
    }


def _items(tests: Sequence[Test]) -> str:
    sizes = sorted({test.row.clusters for test in tests})
    if sizes == [1]:
        return say("1 item")
    if len(sizes) == 1:
        return say("{n:,} items", n=sizes[0])
    return say("{least:,} to {most:,} items", least=sizes[0], most=sizes[-1])
