"""Writes a run's slides: presentation.md, and presentation.pptx from the same text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file, write_text
from synthetic_instruction_tuner.escaping import one_line
from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.rendering import context, template
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.slides.deck import read_slides
from synthetic_instruction_tuner.reporting.slides.powerpoint import presentation


def write_slides(data: ReportData, slides: Path, figures: Mapping[str, Path]) -> list[Path]:
    """Writes the slides in both forms; returns the files.

    Args:
        data: the run.
        slides: the PowerPoint file; the Markdown file of the same name is written beside it.
        figures: the PNG files by the links that lead to them from there, with the figures' names as their stems.
    """
    text = render_slides(data, {path.stem: link for link, path in figures.items()})
    page = slides.with_suffix(".md")
    write_text(page, text)
    title = one_line(term(data.title))
    footer = say("{title} · run {run}", title=title[:40], run=one_line(data.run_name)[:30])
    with atomic_file(slides) as stream:
        stream.write(presentation(read_slides(text), figures, title[:200], footer))
    return [slides, page]


def render_slides(data: ReportData, figures: Mapping[str, str] | None = None) -> str:
    """Returns the slides as Markdown; `figures` are links by the figures' names."""
    return template("presentation_template.md").render(**context(data, figures or {})).strip() + "\n"
