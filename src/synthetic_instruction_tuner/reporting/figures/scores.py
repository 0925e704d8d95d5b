"""The figure of the headline scores, with intervals, by variant and student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.reporting.figures.style import (
    INK,
    SOFT,
    color,
    columns,
    filled,
    hatch,
    label,
    patch,
    subplots,
)
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 16.0  # inches


def benchmarks(data: ReportData) -> Figure | None:
    """Headline scores: a row per benchmark, a group per student, a bar per variant."""
    rows = list(data.headlines.items())
    if not rows:
        return None
    variants = in_order([s.variant for s in data.headline_rows])
    students = list(dict.fromkeys(row.model for row in data.headline_rows))
    width = min(WIDEST, max(7.0, 2.6 * len(students) + 1.5))
    figure, axes = subplots(len(rows), 1, (width, 2.7 * len(rows) + 0.6))
    for ax, (benchmark, metric) in zip(axes, rows, strict=True):
        scores = [s for s in data.headline_rows if s.benchmark == benchmark]
        _score_bars(ax, scores, students, variants)
        ax.set_title(f"{figure_text(benchmark)}: {figure_text(metric)}, {_counts(scores)}")
    handles = [patch(variant, data.labels) for variant in variants]
    ncols = columns([str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols)
    figure.supxlabel(
        say("Error bars: 95 % interval of each score by itself. The report's tests are paired."), fontsize=9, color=SOFT
    )
    return figure


def _score_bars(ax: Axes, scores: Sequence[ComparisonRow], students: Sequence[str], variants: Sequence[str]) -> None:
    width = 0.84 / len(variants)
    ends = [0.0]
    for score in scores:
        x = students.index(score.model) + (variants.index(score.variant) - (len(variants) - 1) / 2) * width
        low, high = score.interval
        error = [[score.value - low], [high - score.value]]
        error_style = {"elinewidth": 1.1, "capsize": 2.5, "ecolor": INK}
        fill = filled(color(score.variant), hatch(score.variant))
        ax.bar(x, score.value, 0.92 * width, yerr=error, error_kw=error_style, **fill)
        text = f"{score.value:.2f}".replace("-", "−")
        ax.annotate(text, (x, max(high, 0)), (0, 3), textcoords="offset points", ha="center", fontsize=8.5)
        ends += [low, high]
    ax.set_xticks(range(len(students)), [label(name) for name in students])
    ax.set_xlim(-0.55, len(students) - 0.45)
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.grid(axis="y")
    room = 0.15 * (max(ends) - min(ends)) or 1.0
    ax.set_ylim(min(ends) - (room / 3 if min(ends) < 0 else 0), max(ends) + room)
    if any(s.value < 0 for s in scores):
        ax.axhline(0, color=SOFT, lw=0.8)


def _counts(scores: Sequence[ComparisonRow]) -> str:
    sizes = sorted({s.clusters for s in scores})
    if len(sizes) == 1:
        return say("{n:,} items", n=sizes[0])
    return say("{least:,} to {most:,} items", least=sizes[0], most=sizes[-1])
