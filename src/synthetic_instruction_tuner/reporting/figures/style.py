"""How every figure looks.

A variant has the same color everywhere, that of `methods.COLORS`, and a hatch and a marker of its own: what a figure
says must survive a grey printer and any kind of color vision.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.methods import BASE, COLORS, LABELS, METHODS, VARIANTS
from synthetic_instruction_tuner.reporting.language.translation import ENGLISH, KOREAN, spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = "#0072B2"  # of figures that do not compare variants
BEFORE = "#B9C0C9"  # what was there before a step, behind what is left
STUDENT_COLORS = ("#332288", "#CC6677", "#117733", "#AA4499", "#88CCEE", "#999933")
LINES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo")
INK, SOFT = "#22262B", "#5B6470"
KOREAN_FONTS = (
    *("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans CJK JP"),
    "Noto Sans CJK SC",
)
KOREAN_FILES = re.compile(r"(?i)noto_?sans_?(cjk|kr)|nanumgothic(bold)?\.|malgun|applesdgothicneo")  # their files
FALLBACKS = (
    *KOREAN_FONTS,
    *(
        "Microsoft YaHei",
        "PingFang SC",
        "Noto Sans Devanagari",
        "Noto Sans Arabic",
        "Noto Sans Thai",
    ),
)
"""Fonts for what DejaVu Sans lacks; those that the machine has are asked, letter by letter."""

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
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "svg.hashsalt": "sit",  # the same figure is the same file
    "text.parse_math": False,
}


@cache
def fonts(language: str = ENGLISH) -> list[str]:
    """Returns the fonts that figures in this language are set in, the first one that has a letter first."""
    there = _installed()
    if language == KOREAN and not there & set(KOREAN_FONTS):
        there = _installed(again=True)
    found = [name for name in FALLBACKS if name in there]
    own = [name for name in KOREAN_FONTS if name in there][:1] if language == KOREAN else []
    return [*own, "DejaVu Sans", *(name for name in found if name not in own)]


def _installed(again: bool = False) -> set[str]:
    """The names of the fonts that Matplotlib knows.

    It keeps a list of those that it has found once; `again` adds the Korean ones that were installed since.
    """
    from matplotlib import font_manager

    known = font_manager.fontManager
    if again:
        files = (Path(file) for file in font_manager.findSystemFonts())
        wanted = [file for file in files if KOREAN_FILES.match(file.name)]
        for file in wanted:
            known.addfont(file)
    return {font.name for font in known.ttflist}


def in_own_language() -> bool:
    """Returns whether this machine has a font for figures in the document's language."""
    return spoken() != KOREAN or fonts(KOREAN)[0] in KOREAN_FONTS


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


def hatch(variant: str) -> str:
    """Returns the variant's hatch, the same in every figure."""
    return HATCHES[VARIANTS.index(variant) % len(HATCHES)] if variant in VARIANTS else HATCHES[-1]


def filled(hue: str, lines: str) -> dict[str, Any]:
    """Returns how a bar of this color and hatch is drawn."""
    return {"color": hue, "hatch": lines, "edgecolor": "white", "linewidth": 0}


def marker(variant: str) -> str:
    """Returns the variant's marker, the same in every figure that marks variants."""
    return MARKERS[VARIANTS.index(variant) % len(MARKERS)] if variant in VARIANTS else MARKERS[-1]


def label(value: object, width: int = 26) -> str:
    """Returns a name as the label of an axis or a legend, in lines of at most so many characters."""
    text = figure_text(value)
    start, lines = " " if text.startswith(" ") else "", [text]
    for characters in range(width, 0, -1):
        if max(map(_room, lines)) <= width:
            break
        lines = textwrap.wrap(text, characters, break_on_hyphens=True)
    return start + "\n".join(lines) if len(lines) > 1 else text


def _room(text: str) -> int:
    """How many Latin letters would take the room of a text: a wide one, as in Korean, takes that of two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def patch(variant: str, labels: Mapping[str, str] = LABELS) -> Any:
    """Returns the variant's entry in the legend of bars."""
    from matplotlib.patches import Patch

    return Patch(
        facecolor=color(variant),
        hatch=hatch(variant),
        edgecolor="white",
        linewidth=0,
        label=figure_text(labels.get(variant, variant)),
    )


def point(variant: str, labels: Mapping[str, str] = LABELS) -> Any:
    """Returns the variant's entry in the legend of points."""
    from matplotlib.lines import Line2D

    shown = figure_text(labels.get(variant, variant))
    return Line2D([], [], marker=marker(variant), ls="", color=color(variant), label=shown)


def line(number: int, student: str) -> Any:
    """Returns the student's entry in the legend of curves; `number` is its place among the students."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **line_style(number), label=label(student))


def line_style(number: int) -> dict[str, Any]:
    """Returns color and dashes of the student's curves; `number` is its place among the students."""
    return {"color": STUDENT_COLORS[number % len(STUDENT_COLORS)], "ls": LINES[number % len(LINES)], "lw": 1.6}


def join(ax: Axes, places: Mapping[tuple[str, str], tuple[float, float]], students: Sequence[str]) -> None:
    """Leads a line to each variant of a student from the variant that it starts from, in the student's dashes.

    Args:
        ax: where the points are.
        places: of the points, by student and variant.
        students: in the order that gives them their dashes.
    """
    starts = {method.name: method.starts_from or BASE for method in METHODS}
    for (student, variant), end in places.items():
        start = places.get((student, starts.get(variant, BASE)))
        if start is not None and variant != BASE:
            style = line_style(students.index(student)) | {"lw": 0.9, "alpha": 0.7, "zorder": 1}
            ax.plot(*zip(start, end, strict=True), **style)


def columns(names: Sequence[str], characters: int = 90) -> int:
    """Returns how many entries of a legend fit beside each other; `characters` fit in all."""
    longest = max((max(map(_room, name.split("\n"))) for name in names), default=1)
    return max(1, min(len(names), characters // (longest + 6)))
