"""The written report: its figures, its links and its page, in a run whose names and texts are hostile."""

from __future__ import annotations

import base64
import re
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import STUDENTS, full
from test_hostile_texts import Page, swapped

from synthetic_instruction_tuner.reporting.figures import drawing
from synthetic_instruction_tuner.reporting.html import POLICY
from synthetic_instruction_tuner.reporting.report import write_report
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES

EVIL = "_![x](http://evil.example/a.png)$x^2$\x1b[31m\n語"
OUTSIDE = {"script", "link", "iframe", "object", "embed", "base", "form"}
FIGURES = 11


def hostile() -> ReportData:
    names = {place: f"{EVIL}{number}" for number, place in enumerate((*STUDENTS, "responder-llama"))}
    return replace(swapped(full(), names), title=EVIL)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(hostile(), root / "docs/report.md", root / "evaluation/figures")
    return root


@pytest.fixture(scope="module")
def page(written: Path) -> str:
    return (written / "docs/report.html").read_text(encoding="utf-8")


def test_it_has_its_figures_and_links_to_them(written: Path) -> None:
    text = (written / "docs/report.md").read_text(encoding="utf-8")
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == len(set(links)) == FIGURES
    for link in links:
        file = (written / "docs" / link).resolve()
        assert file.read_bytes().startswith(b"\x89PNG") and 10_000 < file.stat().st_size < 400_000
        assert file.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    assert {"Findings", "Training", "Samples", "Limits"} <= set(re.findall(r"^### (\S+)$", text, re.MULTILINE))


def test_the_page_has_its_figures_in_it_and_needs_nothing_else(written: Path, page: str) -> None:
    seen = Page(page).tags
    assert not OUTSIDE & {tag for tag, _ in seen} and "url(" not in page
    sources = [str(attrs["src"]) for tag, attrs in seen if tag == "img"]
    shown = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    files = (written / "evaluation/figures").glob("*.png")
    assert sorted(shown) == sorted(file.read_bytes() for file in files) and len(shown) == FIGURES


def test_the_page_s_policy_comes_first_and_forbids_all_else(page: str) -> None:
    seen = Page(page).tags
    policy = next(a["content"] for tag, a in seen if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert policy == POLICY and rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    first = [tag for tag, _ in seen].index("meta")
    assert [tag for tag, _ in seen[:first]] == ["html", "head"]  # before anything that could load


def test_the_page_obeys_no_text_and_links_to_nothing_but_what_is_ours(page: str) -> None:
    seen = Page(page).tags
    assert not any(name.startswith("on") for _, attrs in seen for name in attrs) and "&lt;script&gt;" in page
    links = {str(attrs["href"]) for _, attrs in seen if "href" in attrs}
    ours = {reference.url for reference in REFERENCES.values()} | set(hostile().links.values())
    ours |= {f"../evaluation/figures/{draw.__name__}.svg" for draw in drawing.FIGURES}
    ids = {attrs.get("id") for _, attrs in seen}
    assert all(link[1:] in ids if link.startswith("#") else link in ours for link in links)


def test_the_same_data_gives_the_same_files(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = (drawing.differences, drawing.lengths, drawing.preference_margins)  # all are saved in one way
    monkeypatch.setattr(drawing, "FIGURES", some)
    again = drawing.draw_all(hostile(), tmp_path)
    files = [path.with_suffix(suffix) for path in again.values() for suffix in (".png", ".svg")]
    assert len(files) == 2 * len(some)
    for file in files:
        assert file.read_bytes() == (written / "evaluation/figures" / file.name).read_bytes(), file.name
