"""Documents in Korean: nothing in them is English but names and texts of models, and all they show has room."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import STUDENTS, full
from PIL import ImageFont
from pptx import Presentation
from pptx.oxml.ns import qn
from test_data_card import facts
from test_sections import LINKS, MISSING, missing

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.reporting.data_card import DataSet, Source, data_card
from synthetic_instruction_tuner.reporting.figures import drawing, style
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.language.translation import speaking, spoken
from synthetic_instruction_tuner.reporting.report import render_markdown
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES
from synthetic_instruction_tuner.reporting.slides.deck import read_slides
from synthetic_instruction_tuner.reporting.slides.fitting import width
from synthetic_instruction_tuner.reporting.slides.writing import render_slides, write_slides

ALLOWED = ["LoRA", "SFT", "DPO", "Cohen", "MMLU", "IFEval", "Miller", "Wilson", "GB", "Wh", "sit compare"]
ALLOWED += ["not empty"]  # no rule of the filter: the made-up run has it
FONTS = ("/usr/share/fonts/truetype/nanum/NanumGothic.ttf", "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


@pytest.fixture(autouse=True)
def in_korean() -> Iterator[None]:
    with speaking("ko"):
        yield


def runs() -> dict[str, ReportData]:
    """Made-up runs of every kind."""
    seen = {"found": ["i1", "i2"], "clean": []}
    own = [
        {"kind": kind, "file": f"{kind}.jsonl", "hash": None, "rows": 3, "malformed": 1}
        for kind in ("records", "prompts")
    ]
    judged: dict[str, Any] = {"seed": 3, "prefer": {"scorer": "judge"}, "models": {"judge": {"name": "J", "path": "j"}}}
    judged |= {"train": {"dpo": {"loss": "ipo", "sft_weight": 0.2}}, "evaluate": {"equivalence_margin": 0.05}}
    domain = {"passed": 400, "quota": 500, "made": 900, "stopped_early": True}
    target = {
        "wanted": 1000,
        "made": 1500,
        "explanation": "",
        "domains": {"수학": domain, "": domain | {"stopped_early": False}},
    }
    target["explanation"] = "800 pass: domain 수학 stopped early, generate.count (1,500) has been reached"
    given = full().preference_report | {"scored_by": "사람"}
    return {name: missing(name) for name in MISSING} | {
        "full": full(),
        "contaminated": replace(full(), contamination={"nano_ifeval": seen, "nano_mmlu": seen | {"found": []}}),
        "own records": replace(full(), sources=own),
        "own pairs": replace(full(), sources=[own[0] | {"kind": "pairs"}], preference_report=given),
        "a judge": replace(full(), config=judged),
        "a target": replace(
            full(), generate_target=target, generator_health={"probes": 16, "usable": 14, "faults": {"role_leak": 2}}
        ),
        "energy": replace(full(), training=[t | {"energy_wh": 3.0} for t in full().training]),
    }


def english(page: str) -> list[str]:
    """The places where two English words stand side by side outside of code, links, references and allowed names."""
    page = re.sub(r"(`{3,})[a-z]*\n.*?\n\1", "", page, flags=re.DOTALL)
    page = page.replace("\\`", "")
    for reference in REFERENCES.values():
        page = page.replace(f"{reference.authors}. *{reference.title}*", "")
    page = re.sub(
        r"\[(?:\\.|[^]])*\]\([^)]*\)|`[^`]*`|^- [^\n]*the loss did not fall.*$", " ", page, flags=re.MULTILINE
    )
    page = re.sub(r"</?(?:details|summary)>|[^\s]*[._/:-][^\s]*|[^\sa-zA-Z가-힣]", "0", page)  # names of files, too
    for name in ALLOWED:
        page = re.sub(rf"(?<![A-Za-z]){name}(?![A-Za-z])", "0", page)
    return re.findall(r"[A-Za-z]{2,} [A-Za-z]{2,}(?: [A-Za-z]+)*", page)


@pytest.mark.parametrize("name", runs())
def test_no_english_sentence_is_left(name: str) -> None:
    data = runs()[name]
    links = {} if name == "own pairs" else LINKS  # the responders' figure needs a run's own answers
    for page in (render_markdown(data, links), render_slides(data, links)):
        assert english(page) == []
        assert not re.search(r"은\(는\)|이\(가\)|을\(를\)|과\(와\)|\(으\)로", page)
        assert page.count("Seed") == page.count("Table ") == page.count("Figure ") == 0


def test_the_data_card_is_korean_too() -> None:
    sources = [Source("prompts", "p.jsonl", None, 3, 1)]
    bare: dict[str, Any] = {"filter_report": {}, "preference_report": {}, "samples": [], "diversity": None}
    parts = [DataSet("raw", "raw/instructions.parquet", 6, "all records as they were read")]
    common = facts().diversity
    assert common is not None
    full_card = facts(sets=parts, samples=[], diversity=replace(common, most_common_opening="왜 그런가"))
    bare |= {"sets": parts}
    for card in (data_card(full_card), data_card(facts(sources=sources, on_policy="sft", **bare))):
        head, body = card.split("---\n", 2)[1:]
        assert english(re.sub(r"(?m)^# .*$|^\| refusal.*$", "", body)) == [] and "task_categories" in head


@pytest.mark.parametrize("name", MISSING)
def test_both_languages_say_as_much(name: str) -> None:
    """As many headings, captions, list items, rows and references, whatever a run lacks."""
    pages = []
    for language in ("en", "ko"):
        with speaking(language):
            pages.append(render_markdown(missing(name), LINKS))
    kinds = (r"^#{1,4} ", r"^\*\*(?:Figure|Table|그림|표) \d+\.\*\*", r"^\s*- ", r"^\|", r"\[\\\[\d+\\\]\]\(#")
    counts = [[len(re.findall(kind, page, re.MULTILINE)) for kind in kinds] for page in pages]
    assert counts[0] == counts[1]


def test_the_page_is_marked_as_korean_and_its_contents_lead_to_its_sections() -> None:
    page = render_html(render_markdown(full()), "제목", {})
    assert '<html lang="ko">' in page and ":lang(ko) { word-break: keep-all; }" in page
    assert '<h2 id="5-결과">' in page and 'class="caption"' in page
    inside = re.findall(r'<a href="#([^"]+)">5 결과</a>', page)
    assert inside == ["5-결과", "5-%EA%B2%B0%EA%B3%BC"]


@pytest.fixture
def fresh_fonts() -> Iterator[None]:
    style.fonts.cache_clear()
    yield
    style.fonts.cache_clear()


def drawn_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str, list[str]]]:
    """Draws one figure; returns its language, and its fonts and texts."""
    seen = []

    def differences(data: ReportData) -> None:
        import matplotlib

        seen.append((spoken(), data.labels["base"], list(matplotlib.rcParams["font.family"])))

    monkeypatch.setattr(drawing, "FIGURES", (differences,))
    drawing.draw_all(full(), tmp_path)
    return seen


@pytest.mark.usefixtures("fresh_fonts")
def test_without_a_korean_font_figures_are_english_and_the_report_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(style, "_installed", lambda again=False: {"DejaVu Sans"})
    assert [(language, label) for language, label, _ in drawn_in(monkeypatch, tmp_path)] == [("en", "base")]
    assert render_markdown(full(), LINKS).count("fonts-nanum") == 1
    assert "fonts-nanum" not in render_markdown(full(), {})  # there are no figures
    with speaking("en"):
        assert "fonts-nanum" not in render_markdown(full(), LINKS)


@pytest.mark.usefixtures("fresh_fonts")
def test_with_one_figures_are_korean_in_that_font(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = {False: {"DejaVu Sans"}, True: {"DejaVu Sans", "NanumGothic"}}  # it was installed since
    monkeypatch.setattr(style, "_installed", lambda again=False: known[again])
    assert drawn_in(monkeypatch, tmp_path) == [("ko", "기준 모델", ["NanumGothic", "DejaVu Sans"])]
    assert "fonts-nanum" not in render_markdown(full(), LINKS)
    with speaking("en"):
        assert style.fonts("en")[0] == "DejaVu Sans"


@pytest.mark.parametrize("name", ["full", "a long name", "a Korean name", "no evaluation"])
def test_slides_name_a_korean_font_and_no_text_leaves_its_box(name: str, tmp_path: Path) -> None:
    data = full() if name == "full" else missing(name)
    pptx, page = write_slides(data, tmp_path / "presentation.pptx", {})
    made = Presentation(str(pptx))
    texts = [shape.text_frame for slide in made.slides for shape in slide.shapes if shape.has_text_frame]
    notes = [slide.notes_slide.notes_text_frame for slide in made.slides]
    for run in (run for frame in (*texts, *notes) for paragraph in frame.paragraphs for run in paragraph.runs):
        properties = run._r.rPr
        assert (properties.get("lang"), properties.find(qn("a:ea")).get("typeface")) == ("ko-KR", "Malgun Gothic")
    for slide, read in zip(made.slides, read_slides(page.read_text(encoding="utf-8")), strict=True):
        assert slide.shapes.title.text_frame.text[:20] == read.title[:20]
        for shape in slide.shapes:
            assert shape.top + shape.height <= made.slide_height
            if shape.has_text_frame and shape.text_frame.text:
                size = shape.text_frame.paragraphs[0].runs[0].font.size.pt
                high = shape.text_frame.paragraphs[0].line_spacing.pt  # the fonts' own lines are higher: 1.33, 1.45
                assert high == pytest.approx(1.25 * size, abs=0.01)
                assert lines(shape, size) * high <= shape.height.pt + 0.5


def lines(shape: Any, size: float) -> int:
    """How many lines the shape's text takes at least, by the widths of its letters."""
    return sum(-(-int(width(p.text, size)) // int(shape.width.pt)) or 1 for p in shape.text_frame.paragraphs)


@pytest.mark.parametrize("file", FONTS)
def test_hangul_is_measured_as_wide_as_it_is_set(file: str) -> None:
    if not Path(file).exists():
        pytest.skip(f"{file} is not installed")
    text = "학생 모델 3개 중 3개에서 LoRA SFT가 기준 모델보다 낫다(+0.304~+0.312, 표준 오차 최대 0.032)."
    assert width(text, 20) >= ImageFont.truetype(file, 1000).getlength(text) / 50


def test_names_in_korean_take_twice_the_room_in_figures() -> None:
    name = "한국어-학생-모델-" * 4
    shown = style.label(name)
    assert shown.replace("\n", "") == name and all(len(part) <= 18 for part in shown.split("\n"))
    assert style.columns([figure_text("가" * 20)] * 3) < style.columns(["a" * 20] * 3)
    assert style.label(STUDENTS[0]) == STUDENTS[0]


def test_a_figure_names_the_rules_in_korean() -> None:
    data = missing("a Korean name")
    one = next(draw for draw in drawing.FIGURES if draw.__name__ == "filter_funnel")
    figure = one(data)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert {"생성", "길이", "거절", "보존"} <= set(labels)
