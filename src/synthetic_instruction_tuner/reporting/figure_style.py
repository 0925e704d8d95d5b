"""How every figure looks.

A variant has the same color everywhere, that of `methods.COLORS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.methods import COLORS, LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = "#0072B2"  # of figures that do not compare variants
STUDENT_COLORS = ("#332288", "#CC6677", "#117733", "#AA4499", "#88CCEE", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, SOFT = "#22262B", "#5B6470"
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#B9C0C9",
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": "#E6E9ED",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "savefig.dpi": 150,
    "text.parse_math": False,
}


def subplots(rows: int, columns: int, size: tuple[float, float], sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Returns a figure that needs no display and no global state, with its axes in reading order."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    return figure, list(axes.flat)


def color(variant: str) -> str:
    """Returns the variant's color, the same in every figure."""
    return COLORS.get(variant, "#CC79A7")


def patch(variant: str, labels: Mapping[str, str] = LABELS) -> Any:
    """Returns the variant's entry in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color(variant), label=figure_text(labels.get(variant, variant)))


def mark(student: str, marker: str) -> Any:
    """Returns the student's entry in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, ls="", color=SOFT, label=figure_text(student))
