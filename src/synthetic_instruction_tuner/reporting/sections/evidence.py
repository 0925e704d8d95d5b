"""What helped, what did not, and what so many items cannot tell: sentences derived from the paired tests.

A difference is called an improvement only where it holds after Holm's correction over all tests of the headline scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from synthetic_instruction_tuner.reporting.formatting import listed
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
    return _proven(data, "is better than", lambda test: test.improves > 0)


def hurt(data: ReportData) -> list[str]:
    """Returns a sentence for each comparison in which a variant is worse than its reference."""
    return _proven(data, "is worse than", lambda test: test.improves < 0)


def undecided(data: ReportData) -> list[str]:
    """Returns for each benchmark a sentence on what its items cannot tell, and how many items might."""
    found = []
    for name, metric in data.headlines.items():
        tests = [test for test in all_tests(data) if test.row.benchmark == name]
        open_ones = [test for test in tests if not test.improves]
        if open_ones:
            found.append(_open_sentence(name, metric, tests, open_ones, data))
    return found


def equivalences(data: ReportData) -> list[str]:
    """Returns a sentence for each comparison that is shown to be smaller than the margin."""
    return [
        f"{_where(f)}: {_names(f, data)[0]} and {_names(f, data)[1]} are equivalent within ±{f.margin:g} for "
        f"{len(f.equivalent)} of {students(len(f.tests))}."
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


def _proven(data: ReportData, how: str, chosen: Callable[[Test], bool]) -> list[str]:
    found = []
    for finding in findings(data):
        tests = [test for test in finding.tests if chosen(test)]
        if tests:
            ours, theirs = _names(finding, data)
            errors = [test.difference.standard_error for test in tests]
            known = [error for error in errors if not math.isnan(error)]
            error = f", standard error at most {max(known):.3f}" if known else ""
            found.append(
                f"{_where(finding)}: {ours} {how} {theirs} for {len(tests)} of {students(len(finding.tests))} "
                f"({span([test.difference.value for test in tests])}{error}, {_items(tests)})."
            )
    return found


def _open_sentence(name: str, metric: str, tests: Sequence[Test], open_ones: Sequence[Test], data: ReportData) -> str:
    pairs: dict[tuple[str, str], int] = {}
    for test in open_ones:
        key = (data.labels.get(test.row.variant, test.row.variant), data.labels.get(test.reference, test.reference))
        pairs[key] = pairs.get(key, 0) + 1
    which = listed([f"{ours} against {theirs} ({students(n)})" for (ours, theirs), n in pairs.items()])
    said = (
        f"{name} ({metric}): {len(open_ones)} of {len(tests)} comparisons are open with {_items(open_ones)}: {which}."
    )
    lost = [test for test in open_ones if test.direction]
    if lost:
        said += f" Of these, {len(lost)} had p < {ALPHA} alone and did not hold after correction."
    detectable = [t.difference.detectable for t in open_ones if not math.isnan(t.difference.detectable)]
    if detectable:
        low, high = f"{min(detectable):.3f}", f"{max(detectable):.3f}"
        said += (
            f" The tests find true differences of {low if low == high else f'{low} to {high}'} in 80 % of repetitions."
        )
    closest = max(open_ones, key=lambda test: abs(test.difference.value))
    if (needed := items_needed(closest)) and needed > closest.row.clusters:
        size = f"{closest.difference.value:+.3f}".replace("-", "−")
        said += f" To find the largest open difference ({size}) as reliably, about {needed:,} items would be needed."
    return said


def _where(finding: Finding) -> str:
    return f"{finding.benchmark} ({finding.metric})"


def _names(finding: Finding, data: ReportData) -> tuple[str, str]:
    labels = data.labels
    return labels.get(finding.variant, finding.variant), labels.get(finding.reference, finding.reference)


def _items(tests: Sequence[Test]) -> str:
    sizes = sorted({test.row.clusters for test in tests})
    if sizes == [1]:
        return "1 item"
    return f"{sizes[0]:,} items" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} items"
