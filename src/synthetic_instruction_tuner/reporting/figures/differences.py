"""The figure of the paired differences: one line per test, with its interval (a forest plot)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.evaluation.statistics import NORMAL_975, t_quantile
from synthetic_instruction_tuner.reporting.figures.style import INK, SOFT, color, label, marker, subplots
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, Test, all_tests

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 3  # benchmarks beside each other

Line = tuple[str, str, str]
"""What a line of the plot compares: student, variant, reference."""


def differences(data: ReportData) -> Figure | None:
    """Paired differences with 95 % intervals: a panel per benchmark, a line per student, variant and reference."""
    tests = all_tests(data)
    if not tests:
        return None
    lines = _lines(tests)
    names = [name for name in data.headlines if any(test.row.benchmark == name for test in tests)]
    wide = min(PANELS, len(names))
    deep = math.ceil(len(names) / wide)
    figure, axes = subplots(deep, wide, (3.1 + 2.6 * wide, deep * (0.27 * len(lines) + 0.9) + 0.5), sharey=True)
    for ax, name in zip(axes, names, strict=False):
        _panel(ax, [test for test in tests if test.row.benchmark == name], lines)
        ax.set_title(f"{figure_text(name)}:\n{figure_text(data.headlines[name])}")
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    for ax in axes[::wide]:
        ax.set_yticks(range(len(lines)), [_name(line, data) for line in lines])
        ax.set_ylim(len(lines) - 0.4, -0.6)
    figure.supxlabel(
        say(
            "Difference on the same items, with its 95 % interval. Filled: p < {alpha} after Holm's correction.",
            alpha=ALPHA,
        ),
        fontsize=9,
        color=SOFT,
    )
    return figure


def _lines(tests: list[Test]) -> list[Line]:
    """What is compared: by student, then by reference and variant in their order."""
    students = list(dict.fromkeys(test.row.model for test in tests))
    references = list(dict.fromkeys(test.reference for test in tests))
    variants = in_order([test.row.variant for test in tests])
    found = {(test.row.model, test.row.variant, test.reference) for test in tests}
    return [(s, v, r) for s in students for r in references for v in variants if (s, v, r) in found]


def _panel(ax: Axes, tests: list[Test], lines: list[Line]) -> None:
    ax.axvline(0, color=SOFT, lw=1)
    for test in tests:
        y = lines.index((test.row.model, test.row.variant, test.reference))
        found = test.difference
        freedom = test.row.clusters - 1
        quantile = t_quantile(0.975, freedom) if freedom > 0 else NORMAL_975
        half = 0.0 if math.isnan(found.standard_error) else quantile * found.standard_error
        hue = color(test.row.variant)
        ax.plot([found.value - half, found.value + half], [y, y], color=hue, lw=1.8, solid_capstyle="butt")
        fill = hue if test.holds else "white"
        ax.plot(found.value, y, marker(test.row.variant), ms=6.5, mfc=fill, mec=hue, mew=1.5)
    for y in range(1, len(lines)):
        if lines[y][0] != lines[y - 1][0]:
            ax.axhline(y - 0.5, color="#DFE3E8", lw=0.8)
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.spines["left"].set_visible(False)


def _name(line: Line, data: ReportData) -> str:
    student, variant, reference = line
    ours, theirs = (figure_text(data.labels.get(name, name)) for name in (variant, reference))
    return f"{_short(student)}: {ours} − {theirs}"


def _short(name: str, most: int = 26) -> str:
    text = label(name, 1000)
    return text if len(text) <= most else f"{text[: most - 9]}…{text[-8:]}"
