"""Sets slides as a PowerPoint file: native titles, text, tables and notes, and the run's figures as pictures."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.reporting.language.translation import KOREAN, spoken
from synthetic_instruction_tuner.reporting.slides.deck import Slide
from synthetic_instruction_tuner.reporting.slides.fitting import SPACING, fit, height
from synthetic_instruction_tuner.reporting.slides.tables import Laid, lay_out

if TYPE_CHECKING:
    from pptx.slide import Slide as Page
    from pptx.text.text import TextFrame

FONT = "Arial"
EAST_ASIAN = {KOREAN: ("Malgun Gothic", "ko-KR")}  # by language: the font of all its letters, and its code
WIDTH, HEIGHT = 960.0, 540.0  # points: 16 to 9
LEFT, TOP, BOTTOM = 42.0, 24.0, 26.0  # margins
TITLE = 84.0  # height of the title's box
INK, SOFT, ACCENT = "22262B", "5B6470", "0072B2"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same slides are the same file
AFTER = 0.45  # space after a bullet's text, in sizes
INDENT = 18.0  # of a bullet's text; the bullet stands in it


def presentation(slides: Sequence[Slide], figures: Mapping[str, Path], title: str, footer: str) -> bytes:
    """Returns the slides as a .pptx file; the same slides give the same bytes.

    Args:
        slides: in their order.
        figures: the PNG files by the links that slides have for them.
        title: of the document.
        footer: what stands below every slide, beside its number.
    """
    from pptx import Presentation
    from pptx.util import Pt

    made = Presentation()
    made.slide_width, made.slide_height = Pt(WIDTH), Pt(HEIGHT)
    own = made.core_properties
    own.title, own.author, own.last_modified_by = title, "sit", "sit"
    own.created = own.modified = datetime.datetime(*LONG_AGO)
    for number, slide in enumerate(slides, 1):
        page = made.slides.add_slide(made.slide_layouts[0 if number == 1 else 5])
        if number == 1:
            _cover(page, slide)
        else:
            _content(page, slide, figures)
            _text(page, [f"{footer}   {number}"], (LEFT, HEIGHT - BOTTOM, WIDTH - 2 * LEFT, 20.0), (11, 9), color=SOFT)
        notes = page.notes_slide.notes_text_frame
        notes.text = slide.notes
        for paragraph in notes.paragraphs:
            for run in paragraph.runs:
                _in_own_letters(run)
    stream = io.BytesIO()
    made.save(stream)
    return _timeless(stream.getvalue())


def _cover(page: Page, slide: Slide) -> None:
    title, subtitle = page.placeholders
    _place(title, (LEFT, 130.0, WIDTH - 2 * LEFT, 150.0))
    _write(title.text_frame, [slide.title], (WIDTH - 2 * LEFT, 150.0), (40, 20), bold=True)
    _place(subtitle, (LEFT, 300.0, WIDTH - 2 * LEFT, 130.0))
    _write(subtitle.text_frame, slide.bullets, (WIDTH - 2 * LEFT, 130.0), (20, 14), color=SOFT)


def _content(page: Page, slide: Slide, figures: Mapping[str, Path]) -> None:
    from pptx.util import Pt

    title = page.shapes.title
    assert title is not None
    _place(title, (LEFT, TOP, WIDTH - 2 * LEFT, TITLE))
    used = _write(title.text_frame, [slide.title], (WIDTH - 2 * LEFT, TITLE), (30, 20), bold=True)
    title.height = Pt(used)
    top, bottom = TOP + used + 16, HEIGHT - BOTTOM - 8
    picture = figures.get(slide.image)
    if picture is not None:
        top = _figure(page, picture, slide, (LEFT, top, WIDTH - 2 * LEFT, bottom - top))
    if slide.table:
        top = _table(page, slide.table, top, bottom - (80 if slide.bullets else 0))
    if slide.bullets:
        box = (LEFT, top, WIDTH - 2 * LEFT, bottom - top)
        _text(page, slide.bullets, box, (18 if picture else 22, 14), after=AFTER, indent=INDENT)


def _figure(page: Page, picture: Path, slide: Slide, box: tuple[float, float, float, float]) -> float:
    """Sets the figure as large as it fits, above the bullets; returns where there is room below it."""
    from PIL import Image
    from pptx.util import Pt

    left, top, wide, high = box
    room = high - (92.0 if slide.bullets else 0.0)
    with Image.open(picture) as image:
        scale = min(wide / image.width, room / image.height)
        size = image.width * scale, image.height * scale
    shape = page.shapes.add_picture(str(picture), Pt(left + (wide - size[0]) / 2), Pt(top), Pt(size[0]), Pt(size[1]))
    shape._element.nvPicPr.cNvPr.set("descr", slide.alt)
    return top + size[1] + 10


def _table(page: Page, rows: Sequence[Sequence[str]], top: float, bottom: float) -> float:
    """Sets the table at the largest size at which it fits; returns where there is room below it."""
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    laid: Laid = lay_out(rows, (WIDTH - 2 * LEFT, bottom - top))
    shape = page.shapes.add_table(
        len(laid.rows), len(laid.widths), Pt(LEFT), Pt(top), Pt(sum(laid.widths)), Pt(sum(laid.heights))
    )
    table = shape.table
    for column, wide in zip(table.columns, laid.widths, strict=True):
        column.width = Pt(wide)
    for i, (row, high) in enumerate(zip(laid.rows, laid.heights, strict=True)):
        table.rows[i].height = Pt(high)
        for j, text in enumerate(row):
            cell = table.cell(i, j)
            cell.margin_left = cell.margin_right = Pt(laid.margin)
            cell.margin_top = cell.margin_bottom = Pt(2)
            cell.fill.solid()
            cell.fill.fore_color.rgb = RGBColor.from_string("E6EEF4" if i == 0 else "FFFFFF" if i % 2 else "F6F7F9")
            _set(cell.text_frame, [text], laid.size, bold=i == 0, color=INK, right=j >= laid.names)
    return top + sum(laid.heights) + 12


def _text(
    page: Page, texts: Sequence[str], box: tuple[float, float, float, float], sizes: tuple[int, int], **style: Any
) -> None:
    from pptx.util import Pt

    shape = page.shapes.add_textbox(*(Pt(value) for value in box))
    _write(shape.text_frame, texts, box[2:], sizes, **style)


def _write(
    frame: TextFrame,
    texts: Sequence[str],
    room: tuple[float, float],
    sizes: tuple[int, int],
    bold: bool = False,
    color: str = INK,
    after: float = 0.0,
    indent: float = 0.0,
) -> float:
    """Writes paragraphs into a frame at the largest size at which they fit; returns the height that they need."""
    found = fit(texts, (room[0] - indent, room[1]), sizes, bold, after)
    _set(frame, found.texts, found.size, bold, color, after=after, indent=indent)
    return height(found.texts, found.size, room[0] - indent, bold, after)


def _set(
    frame: TextFrame,
    texts: Sequence[str],
    size: float,
    bold: bool = False,
    color: str = INK,
    after: float = 0.0,
    right: bool = False,
    indent: float = 0.0,
) -> None:
    """Sets paragraphs; those with an indent get a bullet that stands in it."""
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
    from pptx.util import Pt

    frame.word_wrap, frame.auto_size, frame.vertical_anchor = True, MSO_AUTO_SIZE.NONE, MSO_ANCHOR.TOP
    if not right and not hasattr(frame._parent, "margin_left"):  # a cell has margins of its own
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    for k, text in enumerate(texts):
        paragraph = frame.paragraphs[0] if k == 0 else frame.add_paragraph()
        paragraph.alignment = PP_ALIGN.RIGHT if right else PP_ALIGN.LEFT
        paragraph.line_spacing, paragraph.space_after = _spacing(size), Pt(after * size)
        run = paragraph.add_run()
        run.text = text
        run.font.name, run.font.size, run.font.bold = FONT, Pt(size), bold
        run.font.color.rgb = RGBColor.from_string(color)
        _in_own_letters(run)
        if indent:
            _add_bullet(paragraph, Pt(indent))


def _add_bullet(paragraph: Any, indent: int) -> None:
    """Gives a paragraph a bullet; python-pptx has no call for that."""
    from pptx.oxml.ns import qn

    settings = paragraph._p.get_or_add_pPr()
    settings.set("marL", str(indent))
    settings.set("indent", str(-indent))
    settings.append(settings.makeelement(qn("a:buChar"), {"char": "•"}))


def _spacing(size: float) -> Any:
    """Returns the height of lines: as Arial has it, or in points as measured where another font has higher lines."""
    from pptx.util import Pt

    return Pt(SPACING * size) if spoken() in EAST_ASIAN else 1.0


def _in_own_letters(run: Any) -> None:
    """Names the font of a language that Arial cannot write, and the language, by which programs break lines."""
    if spoken() not in EAST_ASIAN:
        return
    from pptx.oxml.ns import qn

    typeface, code = EAST_ASIAN[spoken()]
    properties = run._r.get_or_add_rPr()
    properties.set("lang", code)
    properties.set("altLang", "en-US")
    run.font.name = typeface
    properties.find(qn("a:latin")).addnext(properties.makeelement(qn("a:ea"), {"typeface": typeface}))


def _place(shape: Any, box: tuple[float, float, float, float]) -> None:
    from pptx.util import Pt

    shape.left, shape.top, shape.width, shape.height = (Pt(value) for value in box)


def _timeless(data: bytes) -> bytes:
    """Returns the archive with the same time for all of its members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, LONG_AGO), old.read(name), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
