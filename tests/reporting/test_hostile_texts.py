"""Names, titles and texts of any kind leave the structure of every page as it is, and the HTML page loads nothing."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import unicodedata
import warnings
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import STUDENTS, full
from markdown_it import MarkdownIt
from test_data_card import facts

from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.escaping import one_line, visible
from synthetic_instruction_tuner.evaluation.comparison import csv_text
from synthetic_instruction_tuner.filtering import FilterReport, QualityFilter
from synthetic_instruction_tuner.preference.report import report_page
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.reporting.data_card import data_card
from synthetic_instruction_tuner.reporting.html import POLICY, render_html
from synthetic_instruction_tuner.reporting.model_facts import ModelFacts
from synthetic_instruction_tuner.reporting.report import render_markdown, write_report
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES

PIECES = [
    *("![x](http://evil.example/a.png)", "<script>alert(1)</script>", "<img src=http://evil.example>", "[a](//b)"),
    *("\x1b[31m", "\x9b2J", "\u202e", "\n", "\n\n# x\n\n", "\n---\n", "|", "\\", "`", "```", "~~~", "=1+1", "@x", "+1"),
    *("<!--", "]]>", "{{ 7 * 7 }}", "{% raw %}", "$x$", "_", "__", "*", "a", "語", "\ud800"),
]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map(lambda parts: "n" + "".join(parts) + "n")
HIDDEN = ("Cc", "Cs", "Zl", "Zp")


def swapped(value: Any, texts: dict[str, str]) -> Any:
    """The value with these texts in the place of others, anywhere in it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: swapped(getattr(value, f.name), texts) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **fields)
    if isinstance(value, dict):
        return {swapped(k, texts): swapped(v, texts) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(swapped(part, texts) for part in value)
    return texts.get(value, value) if isinstance(value, str) else value


def structure(page: str) -> tuple[list[str], Counter[str]]:
    """The blocks of a page, and its inline elements other than text."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)
    inline = [part.type for token in tokens for part in token.children or []]
    return [token.type for token in tokens], Counter(
        t for t in inline if t not in ("text", "text_special", "softbreak")
    )


def check(page: str, like: str) -> None:
    assert structure(page) == structure(like)
    assert not [c for c in page if unicodedata.category(c) in HIDDEN and c != "\n"] and "\u202e" not in page


class Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def attributes(tag: str, attrs: dict[str, str | None]) -> list[str]:
    """The names of an element's attributes, without the mark of cells with a long word."""
    return sorted(name for name in attrs if (tag, name, attrs[name]) != ("td", "class", "long"))


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_report(text: str) -> None:
    places = ["demo", "x86_64", "generator", "Synthetic instruction tuning", "responder-llama", STUDENTS[1], "passed"]
    data = swapped(full(), {place: f"{text}{number}" for number, place in enumerate(places) if place != "passed"})
    page, like = render_markdown(data), render_markdown(full())
    check(page, like)
    seen, expected = (Page(render_html(p, t, {})).tags for p, t in ((page, data.title), (like, "x")))
    assert [(tag, attributes(tag, attrs)) for tag, attrs in seen] == [(tag, attributes(tag, a)) for tag, a in expected]


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_data_card(text: str) -> None:
    models = [ModelFacts("generator", text, text, text, text), ModelFacts("responder", "b", "c", "d", None)]
    like = [ModelFacts("generator", "a", "b", "c", "d"), models[1]]
    plain = facts(models=like, title="a")
    card = data_card(
        dataclasses.replace(
            facts(models=models, title=text),
            preference_report=swapped(plain.preference_report, {"bb": text}),
            samples=[{"instruction": text, "response": text}],
        )
    )
    header, body = card.removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(header)["pretty_name"] == one_line(text)
    check(body, data_card(plain).split("\n---\n", 1)[1])


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_report_on_pairs(text: str) -> None:
    plain = facts().preference_report
    samples = [
        {k: text if k in ("instruction", "chosen", "rejected") else v for k, v in s.items()} for s in plain["samples"]
    ]
    check(report_page(swapped(plain, {"bb": text}) | {"samples": swapped(samples, {"bb": text})}), report_page(plain))


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_report_of_the_filter(text: str) -> None:
    def page(name: str, length: int) -> str:
        rules = FilterConfig(min_words=400)
        records = [Record(name, name, name) for _ in range(length)]
        return FilterReport.build(records, QualityFilter(rules).check(records), rules).to_markdown()

    check(page(text, 3), page("n", 3))


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_table(text: str) -> None:
    shown = csv_text(swapped(full().comparison, {STUDENTS[0]: text, STUDENTS[1]: f"={text}"}))
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len(rows) == shown.count("\n") - 1 == len(full().comparison)
    assert {row["model"] for row in rows} == {visible(text), f"'={visible(text)}", STUDENTS[2]}
    assert all(float(row["value"]) < 0 or row["value"][0].isdigit() for row in rows)
    assert any(row["value"].startswith("-") for row in rows)


def test_the_page_loads_nothing_and_shows_its_figures(tmp_path: Path) -> None:
    evil = "_![x](http://evil.example/a.png)$x^2$\x1b[31m\n語"
    names = {place: f"{evil}{number}" for number, place in enumerate((*STUDENTS, "responder-llama"))}
    data = dataclasses.replace(swapped(full(), names), title=evil)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, page, *figures = write_report(data, tmp_path / "report.md", tmp_path / "figures")
    seen = Page(page.read_text(encoding="utf-8")).tags
    policy = next(a["content"] for tag, a in seen if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert policy == POLICY and rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    first = [tag for tag, _ in seen].index("meta")
    assert [tag for tag, _ in seen[:first]] == ["html", "head"]  # before anything that could load
    figures = [figure for figure in figures if figure.suffix == ".png"]
    sources = [str(attrs["src"]) for tag, attrs in seen if tag == "img"]
    shown = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert sorted(shown) == sorted(figure.read_bytes() for figure in figures) and len(shown) == 11
    assert {tag for tag, _ in seen} & {"script", "link", "iframe", "object", "embed", "base", "form"} == set()
    links = {str(attrs["href"]) for _, attrs in seen if "href" in attrs}
    ours = {reference.url for reference in REFERENCES.values()}
    ours |= {f"figures/{figure.stem}.svg" for figure in figures} | set(data.links.values())
    assert all(link.startswith("#") or link in ours for link in links)


def test_an_image_that_is_no_figure_is_its_description() -> None:
    page = render_html(
        "![what](http://evil.example/a.png) and [a](http://evil.example), <http://evil.example>", "t", {}
    )
    assert not {"img", "a"} & {tag for tag, _ in Page(page).tags}
    assert "what" in page
