"""Slides: one message each, native text, every placeholder filled, and no text that leaves its box."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import full
from PIL import Image, ImageFont
from pptx import Presentation
from pptx.util import Pt
from test_sections import missing

from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.slides.deck import read_slides
from synthetic_instruction_tuner.reporting.slides.fitting import fit, height, width, wrapped
from synthetic_instruction_tuner.reporting.slides.tables import lay_out
from synthetic_instruction_tuner.reporting.slides.writing import render_slides, write_slides

STRANGE = ("no evaluation", "nothing", "20 records", "a long name", "a Korean name")
MARKUP = ("# x", "---", "| a | b |", "![x](y.png)", "> note", "=1+1", "</p:sp>", "\x1b[31m\ud800")
FIGURES = ("differences", "agent_ends", "responder_scores", "preference_margins")
LINE = 1.17  # height of Arial's lines in sizes
LIBERATION = Path("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf")


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("figures")
    for name, size in zip(FIGURES, ((110, 60), (80, 50), (80, 33), (80, 36)), strict=True):
        Image.new("RGB", size, "white").save(folder / f"{name}.png")
    return {f"../figures/{name}.png": folder / f"{name}.png" for name in FIGURES}


@pytest.fixture(scope="module", params=["full", *STRANGE])
def made(request: pytest.FixtureRequest, figures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    data = full() if request.param == "full" else missing(request.param)
    folder = tmp_path_factory.mktemp("slides")
    pptx, _ = write_slides(data, folder / "presentation.pptx", figures)
    return Presentation(str(pptx))


@cache
def letters(bold: bool) -> Any:
    """Liberation Sans, which has Arial's widths and is what LibreOffice takes for it; else the wider DejaVu Sans."""
    if LIBERATION.exists():
        name = LIBERATION.name.replace("Regular", "Bold") if bold else LIBERATION.name
        return ImageFont.truetype(str(LIBERATION.with_name(name)), 1000)
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", 1000)


def lines(text: str, size: float, room: float, bold: bool) -> int:
    """How many lines a text takes, word by word, measured apart from what set it."""
    count, used = 1, 0.0
    for word in re.findall(r"\S+\s*", text):
        wide = letters(bold).getlength(word.rstrip()) / 1000 * size
        if used and used + wide > room:
            count, used = count + 1, 0.0
        while wide > room:
            count, wide = count + 1, wide - room
        used += letters(bold).getlength(word) / 1000 * size
    return count


def needed(frame: Any, room: float) -> float:
    """The height in points of a frame's text."""
    total = 0.0
    for paragraph in frame.paragraphs:
        size = paragraph.runs[0].font.size.pt
        after = paragraph.space_after.pt if paragraph.space_after else 0.0
        settings = paragraph._p.pPr
        own = room - (int(settings.get("marL", 0)) if settings is not None else 0) / Pt(1)
        total += lines(paragraph.text, size, own, bool(paragraph.runs[0].font.bold)) * LINE * size + after
    return total


def frames(page: Any) -> Iterator[tuple[Any, float, float]]:
    """The page's texts with the width and the height of what they stand in."""
    for shape in page.shapes:
        if shape.has_text_frame:
            yield shape.text_frame, shape.width / Pt(1), shape.height / Pt(1)
        elif getattr(shape, "has_table", False) and shape.has_table:
            for row in shape.table.rows:
                for cell, column in zip(row.cells, shape.table.columns, strict=True):
                    margins = (cell.margin_left + cell.margin_right) / Pt(1)
                    yield cell.text_frame, column.width / Pt(1) - margins, row.height / Pt(1)


def test_no_text_leaves_its_box_and_no_box_its_slide(made: Any) -> None:
    for page in made.slides:
        for frame, wide, high in frames(page):
            assert needed(frame, wide) <= high + 0.5, frame.text
        for shape in page.shapes:
            assert shape.left >= 0 and shape.top >= 0
            assert shape.left + shape.width <= made.slide_width and shape.top + shape.height <= made.slide_height


def test_boxes_do_not_lie_on_each_other(made: Any) -> None:
    for page in made.slides:
        shapes = sorted(page.shapes, key=lambda shape: shape.top)
        for above, below in pairwise(shapes):
            assert above.top + above.height <= below.top + Pt(1), (above.name, below.name)


def test_every_placeholder_is_filled_and_every_letter_is_arial(made: Any) -> None:
    for number, page in enumerate(made.slides):
        assert all(shape.text_frame.text.strip() for shape in page.placeholders)
        assert page.shapes.title is not None and page.notes_slide.notes_text_frame.text.strip()
        for frame, *_ in frames(page):
            runs = [run for paragraph in frame.paragraphs for run in paragraph.runs]
            assert {run.font.name for run in runs} <= {"Arial"}
            sizes = [run.font.size.pt for run in runs if run.text.strip()]
            assert min(sizes, default=99) >= (9 if re.search(r" · run .*\d$", frame.text) else 10)
        assert number == 0 or page.shapes.title.text_frame.paragraphs[0].runs[0].font.size.pt >= 20


def test_about_twelve_slides_and_the_last_one_is_on_limits(made: Any) -> None:
    titles = [page.shapes.title.text_frame.text for page in made.slides]
    assert 7 <= len(titles) <= 14 and titles[-1].startswith("Limits") and len(set(titles)) == len(titles)


def test_slides_have_tables_and_figures_with_a_description(figures: dict[str, Path], tmp_path: Path) -> None:
    pptx, page = write_slides(full(), tmp_path / "presentation.pptx", figures)
    shapes = [shape for slide in Presentation(str(pptx)).slides for shape in slide.shapes]
    assert sum(getattr(shape, "has_table", False) for shape in shapes) >= 4
    pictures = [shape for shape in shapes if shape.shape_type == 13]
    assert len(pictures) == len(FIGURES) - 1 and all(p._element.nvPicPr.cNvPr.get("descr") for p in pictures)
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == len(re.findall(r"^---$", text, re.MULTILINE)) + 1
    again = write_slides(full(), tmp_path / "again.pptx", figures)[0]
    assert again.read_bytes() == pptx.read_bytes()


def test_numbers_of_the_slides_have_errors() -> None:
    scores = next(slide for slide in read_slides(render_slides(full())) if slide.title.startswith("Scores"))
    cells = [cell for line in scores.table[1:] for cell in line[2:]]
    assert len(cells) > 20 and all(re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", cell) for cell in cells)


def test_what_was_not_done_is_said() -> None:
    for name, said in (("no dpo", "Not trained: SFT + DPO."), ("no evaluation", "Nothing was evaluated in this run")):
        assert said in render_slides(missing(name))
    nothing = render_slides(ReportData("empty", "t4"))
    for said in ("No record was filtered", "no preference pairs", "Nothing was trained", "Nothing was evaluated"):
        assert said in nothing


@pytest.mark.parametrize("text", MARKUP)
def test_no_text_makes_a_slide_or_a_part_of_one(text: str) -> None:
    slides = read_slides(render_slides(replace(full(), title=text, run_name=text)))
    like = read_slides(render_slides(full()))
    shapes = [[(len(s.bullets), len(s.table), bool(s.image)) for s in deck] for deck in (slides, like)]
    assert shapes[0] == shapes[1] and slides[0].title.strip()


def test_any_text_is_written(figures: dict[str, Path], tmp_path: Path) -> None:
    text = " ".join(MARKUP)
    pptx, _ = write_slides(replace(full(), title=text, run_name=text), tmp_path / "presentation.pptx", figures)
    assert "=1+1 </p:sp>" in Presentation(io.BytesIO(pptx.read_bytes())).slides[0].shapes.title.text_frame.text


words = st.text(st.sampled_from("ab W語한-é"), max_size=60)


@settings(max_examples=30, deadline=None)
@given(st.lists(words, min_size=1, max_size=6), st.integers(60, 400), st.integers(30, 300))
def test_what_is_fitted_fits(texts: list[str], wide: int, high: int) -> None:
    found = fit(texts, (wide, high), (30, 10), after=0.4)
    assert not found.texts or height(found.texts, found.size, wide, after=0.4) <= high
    if found.size > 10:
        assert found.texts == texts


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(words, words, words), min_size=2, max_size=40), st.integers(120, 400))
def test_a_table_fits_and_loses_no_row_unsaid(rows: list[tuple[str, str, str]], high: int) -> None:
    laid = lay_out(rows, (800, high))
    assert sum(laid.widths) <= 800.5 and len(laid.heights) == len(laid.rows)
    shown = len(laid.rows)
    if not laid.rows[-1][0].endswith("more in the report"):
        assert shown == len(rows)
    else:
        assert int(laid.rows[-1][0].split()[0]) == len(rows) - (shown - 1)


def test_no_word_of_a_table_is_broken_where_there_is_room() -> None:
    rows = [["method", "student", "trained parameters", *["share of all"] * 5], ["x" * 20, "a-b", *["1"] * 6]]
    laid = lay_out(rows, (876, 400))
    for j, wide in enumerate(laid.widths):
        words = [(word, k == 0) for k, row in enumerate(laid.rows) for word in row[j].split()]
        assert all(width(word, laid.size, bold) <= wide - 2 * laid.margin for word, bold in words)


def test_widths_are_those_of_the_font() -> None:
    assert width("iii", 10) < width("WWW", 10) and width("한", 10) == 10
    assert width("abc", 20) == pytest.approx(2 * width("abc", 10)) and width("a", 10, bold=True) > width("a", 10)
    assert wrapped("a b", 10, 1000) == 1 and wrapped("aaaa bbbb", 10, width("aaaa", 10) + 1) == 2
    assert wrapped("w" * 100, 10, 50) >= 100 * width("w", 10) / 50
