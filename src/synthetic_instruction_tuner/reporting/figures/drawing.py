"""All figures of a run, drawn into a folder as PNG for screens and SVG for print."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.reporting.figures.agents import agent_ends
from synthetic_instruction_tuner.reporting.figures.costs import efficiency, quality_and_cost
from synthetic_instruction_tuner.reporting.figures.curves import preference_margins, training_losses
from synthetic_instruction_tuner.reporting.figures.data import domains, filter_funnel, lengths
from synthetic_instruction_tuner.reporting.figures.differences import differences
from synthetic_instruction_tuner.reporting.figures.rewards import responder_scores, reward_against_passing
from synthetic_instruction_tuner.reporting.figures.scores import benchmarks
from synthetic_instruction_tuner.reporting.figures.style import STYLE, fonts, in_own_language
from synthetic_instruction_tuner.reporting.language.translation import ENGLISH, speaking, spoken
from synthetic_instruction_tuner.reporting.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: tuple[Callable[[ReportData], Any], ...] = (
    differences,
    filter_funnel,
    lengths,
    domains,
    responder_scores,
    training_losses,
    preference_margins,
    benchmarks,
    reward_against_passing,
    agent_ends,
    efficiency,
    quality_and_cost,
)
"""What draws a figure, or returns None where the run has nothing to draw; a figure's files have its function's name."""

DOTS = 150  # pixels of the PNG files to an inch


def draw_all(data: ReportData, folder: Path) -> dict[str, Path]:
    """Draws every figure that the data allows into the folder; returns the PNG files by the figures' names.

    The SVG file of the same figure lies beside each PNG file. Labels are in the document's language where this machine
    has a font for it, else in English.
    """
    drawn = {}
    with _style():
        for draw_one in FIGURES:
            figure = draw_one(data)
            if figure is not None:
                name = draw_one.__name__
                _save(figure, folder / name)
                drawn[name] = folder / f"{name}.png"
    return drawn


def draw(name: str, data: ReportData) -> Figure:
    """Draws one figure, for a notebook.

    Raises:
        UserError: there is no such figure, or the data have nothing to draw in it.
    """
    found = {one.__name__: one for one in FIGURES}
    if name not in found:
        fix = f"Figures: {', '.join(found)}."
        raise UserError(f"There is no figure '{name}'.", "The name is unknown.", fix)
    with _style():
        figure: Figure | None = found[name](data)
        if figure is None:
            fix = "Run the stage that makes it."
            raise UserError(f"There is nothing to draw in figure '{name}'.", "The run does not have it yet.", fix)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it is drawn again outside of this style
    return figure


@contextmanager
def _style() -> Iterator[None]:
    """What figures look like, in the document's language or in English."""
    import matplotlib

    language = spoken() if in_own_language() else ENGLISH
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # no word about a font's lack of a weight
    with matplotlib.rc_context(STYLE | {"font.family": fonts(language)}), warnings.catch_warnings(), speaking(language):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a script without a font: boxes
        yield


def _save(figure: Figure, path: Path) -> None:
    """Draws the figure once for each file; `Figure.savefig` would draw it twice.

    The first drawing lays the figure out, which takes the most time; the second one has the same layout.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.set_dpi(DOTS)
    png, svg = io.BytesIO(), io.BytesIO()
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    figure.set_layout_engine("none")
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    for form, drawn in (("png", png), ("svg", svg)):
        with atomic_file(path.with_suffix(f".{form}")) as stream:
            stream.write(drawn.getvalue())
