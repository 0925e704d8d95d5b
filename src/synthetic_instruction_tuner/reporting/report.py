"""Writes a run's report: figures, Markdown, one self-contained HTML page, and slides, all from the same numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.reporting.figures.drawing import draw_all
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.language.translation import term
from synthetic_instruction_tuner.reporting.rendering import context, template
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections.numbering import Numbering
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES


def write_report(data: ReportData, report: Path, figures: Path) -> list[Path]:
    """Draws the figures and writes the report in both forms; returns the files.

    Args:
        data: the run.
        report: the Markdown file; the HTML page of the same name is written beside it.
        figures: the folder for the PNG and SVG files.
    """
    drawn = draw_all(data, figures)
    links = figure_links(drawn, report.parent)
    text = render_markdown(data, links)
    page = report.with_suffix(".html")
    write_text(report, text)
    images = {links[name]: path for name, path in drawn.items()}
    write_text(page, render_html(text, term(data.title), images, _targets(data, links)))
    return [report, page, *drawn.values(), *(path.with_suffix(".svg") for path in drawn.values())]


def figure_links(drawn: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Returns links from a folder to the figures, by their names."""
    return {name: Path(os.path.relpath(path, folder)).as_posix() for name, path in drawn.items()}


def render_markdown(data: ReportData, figures: Mapping[str, str] | None = None) -> str:
    """Returns the report as Markdown; `figures` are links by the figures' names."""
    made = template("report_template.md")
    shared = context(data, figures or {})
    first = Numbering()
    made.render(**shared, number=first)
    text = made.render(**shared, number=Numbering(first))
    return text.strip() + "\n"


def _targets(data: ReportData, figures: Mapping[str, str]) -> list[str]:
    """What the report may link to: works, the run's files, figures for print, and agents' conversations."""
    works = [reference.url for reference in REFERENCES.values()]
    drawings = [link.removesuffix(".png") + ".svg" for link in figures.values()]
    dialogues = [end.link for one in data.agents for end in one.ends if end.link]
    return [*works, *data.links.values(), *drawings, *dialogues]
