"""The figures of what training cost: time, memory and parameters, and what came out for the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.reporting.figures.style import (
    INK,
    SOFT,
    color,
    columns,
    filled,
    hatch,
    join,
    label,
    line,
    marker,
    patch,
    point,
    subplots,
)
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 3  # benchmarks beside each other


def efficiency(data: ReportData) -> Figure | None:
    """What each training cost: time, memory, trained parameters."""
    if not data.training:
        return None
    methods = in_order([t["method"] for t in data.training])
    rows = [t for m in methods for t in data.training if t["method"] == m]
    panels: list[tuple[str, Callable[[Any], float], str]] = [
        (say("Time (s)"), lambda t: float(t["seconds"]), "{:,.0f}"),
        (say("Peak memory (GB)"), lambda t: float(t["peak_memory_gb"]), "{:.2f}"),
        (say("Parameters trained (%)"), lambda t: 100 * t["trainable_parameters"] / t["total_parameters"], "{:.2g}"),
    ]
    figure, axes = subplots(1, 3, (11, 0.36 * len(rows) + 1.5), sharey=True)
    for ax, (title, measure, form) in zip(axes, panels, strict=True):
        values = [measure(t) for t in rows]
        for y, (value, t) in enumerate(zip(values, rows, strict=True)):
            ax.barh(y, value, 0.7, **filled(color(t["method"]), hatch(t["method"])))
            ax.annotate(form.format(value), (value, y), (4, 0), textcoords="offset points", va="center", fontsize=9)
        ax.set_xlim(0, max(values) * 1.25 or 1)
        ax.set_title(title)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
    axes[0].set_yticks(range(len(rows)), [label(t["student"], 24) for t in rows])
    axes[0].invert_yaxis()
    handles = [patch(method, data.labels) for method in methods]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(methods))
    return figure


def quality_and_cost(data: ReportData) -> Figure | None:
    """Headline scores against the seconds that training took: a panel per benchmark, a point per variant."""
    seconds = data.seconds_of_training
    names = [name for name in data.headlines if any(row.benchmark == name for row in data.headline_rows)]
    if not seconds or not names:
        return None
    wide = min(PANELS, len(names))
    deep = math.ceil(len(names) / wide)
    figure, axes = subplots(deep, wide, (max(5.5, 3.7 * wide), 3.5 * deep + 0.4))
    for ax, name in zip(axes, names, strict=False):
        _points(ax, [row for row in data.headline_rows if row.benchmark == name], seconds)
        ax.set_title(f"{figure_text(name)}:\n{figure_text(data.headlines[name])}")
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    variants = in_order([row.variant for row in data.headline_rows])
    handles = [point(variant, data.labels) for variant in variants]
    handles += [line(number, student) for number, student in enumerate(data.students)]
    ncols = columns([str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols)
    figure.supxlabel(
        say("seconds of training per student, with those of the method that it starts from; lines lead from the start"),
        fontsize=9,
        color=SOFT,
    )
    return figure


def _points(ax: Axes, rows: Sequence[ComparisonRow], seconds: Mapping[tuple[str, str], float]) -> None:
    placed = [(0.0 if row.variant == BASE else seconds.get((row.variant, row.model), math.nan), row) for row in rows]
    students = list(dict.fromkeys(row.model for row in rows))
    join(ax, {(row.model, row.variant): (x, row.value) for x, row in placed}, students)
    for x, row in placed:
        if math.isnan(x):
            continue
        low, high = row.interval
        error = [[row.value - low], [high - row.value]]
        style: dict[str, Any] = {
            "color": color(row.variant),
            "ecolor": "#9AA3AE",
            "elinewidth": 1,
            "ms": 7,
            "mec": "white",
        }
        ax.errorbar(x, row.value, yerr=error, fmt=marker(row.variant), **style)
    ax.set_xlim(left=-0.04 * max((x for x, _ in placed if not math.isnan(x)), default=1.0) - 0.01)
    ax.grid()
