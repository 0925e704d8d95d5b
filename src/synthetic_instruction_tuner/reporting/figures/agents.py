"""The figure of the agents: how the tasks of each student's variants ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.reporting.agents.details import STATES
from synthetic_instruction_tuner.reporting.figures.style import HATCHES, INK, filled, subplots
from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#009E73", "#CC6677", "#DDCC77", "#88CCEE", "#AA4499", "#B9C0C9")  # of STATES, in their order
WRITTEN = 0.04  # share of the bar from which on a number fits into it


def agent_ends(data: ReportData) -> Figure | None:
    """How agents' tasks ended: a panel per benchmark, a bar per student and variant."""
    if not data.agents:
        return None
    heights = [max(1, len(one.ends)) for one in data.agents]
    figure, axes = subplots(len(heights), 1, (8, sum(0.42 * n + 0.75 for n in heights) + 0.6))
    shown = [k for k in range(len(STATES)) if any(end.counts[k] for one in data.agents for end in one.ends)]
    for ax, one in zip(axes, data.agents, strict=True):
        for y, end in enumerate(one.ends):
            left, total = 0, sum(end.counts)
            for k in shown:
                count = end.counts[k]
                style = filled(COLORS[k], HATCHES[k % len(HATCHES)])
                ax.barh(y, count, 0.7, left=left, label=term(STATES[k]), **style)
                if count and count >= WRITTEN * total:
                    box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8}
                    place: dict[str, Any] = {"va": "center", "ha": "center", "fontsize": 9, "color": INK, "bbox": box}
                    ax.text(left + count / 2, y, f"{count:,}", **place)
                left += count
        names = [
            f"{figure_text(end.model)}, {figure_text(data.labels.get(end.variant, end.variant))}" for end in one.ends
        ]
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
        ax.invert_yaxis()
        ax.xaxis.set_visible(False)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_title(say("{benchmark}: how the tasks ended", benchmark=figure_text(one.name)))
    bars = {label: handle for handle, label in zip(*axes[0].get_legend_handles_labels(), strict=True)}
    figure.legend(handles=list(bars.values()), labels=list(bars), loc="outside upper left", ncols=3)
    return figure
