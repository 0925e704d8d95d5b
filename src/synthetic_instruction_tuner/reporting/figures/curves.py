"""The figures of training: loss, and how DPO comes to prefer the chosen answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.reporting.figures.style import SOFT, columns, line, line_style, subplots
from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Logs = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
MARGINS = (("reward_margin", "margin (nats)", 0.0), ("reward_accuracy", "share of pairs in order", 0.5))
"""What DPO's log has: its name there, the label, and its value before training."""


def training_losses(data: ReportData) -> Figure | None:
    """Training loss over steps: a panel per method, a line per student."""
    logs = _with(data.training_logs, "loss")
    methods = in_order([method for method, _ in logs])
    if not methods:
        return None
    students = list(dict.fromkeys(student for _, student in logs))
    figure, axes = subplots(1, len(methods), (max(5.5, 3.9 * len(methods)), 3.6))
    for ax, method in zip(axes, methods, strict=True):
        _lines(ax, logs, method, students, "loss")
        ax.set_title(figure_text(data.labels.get(method, method)))
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.05 * ax.dataLim.y1))
    axes[0].set_ylabel(say("training loss (nats)"))
    _legend(figure, students)
    return figure


def preference_margins(data: ReportData) -> Figure | None:
    """How far the chosen answer is ahead of the rejected one, over the steps of training on pairs."""
    logs = {key: log for name, *_ in MARGINS for key, log in _with(data.training_logs, name).items()}
    methods = in_order([method for method, _ in logs])
    if not methods:
        return None
    students = list(dict.fromkeys(student for _, student in logs))
    figure, axes = subplots(len(methods), len(MARGINS), (8, 3.3 * len(methods) + 0.3))
    for k, ax in enumerate(axes):
        method, (name, shown, start) = methods[k // len(MARGINS)], MARGINS[k % len(MARGINS)]
        ax.axhline(start, color=SOFT, lw=0.8)
        _lines(ax, _with(data.training_logs, name), method, students, name)
        ax.set_title(f"{figure_text(data.labels.get(method, method))}: {term(shown)}")
    _legend(figure, students)
    return figure


def _with(logs: Logs, name: str) -> Logs:
    """The logs' lines that have a value of this name."""
    found = {key: [row for row in log if row.get(name) is not None] for key, log in logs.items()}
    return {key: log for key, log in found.items() if log}


def _lines(ax: Axes, logs: Logs, method: str, students: Sequence[str], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for number, student in enumerate(students):
        if log := logs.get((method, student), []):
            alone: dict[str, Any] = {"marker": "o", "ms": 4} if len(log) == 1 else {}
            ax.plot([row["step"] for row in log], [row[name] for row in log], **line_style(number), **alone)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if ax.dataLim.width < 1:  # one step
        ax.set_xlim(ax.dataLim.x0 - 1, ax.dataLim.x1 + 1)
    ax.set_xlabel(say("optimizer step"))
    ax.grid(axis="y")


def _legend(figure: Figure, students: Sequence[str]) -> None:
    handles = [line(number, student) for number, student in enumerate(students)]
    ncols = columns([str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols, handlelength=3)
