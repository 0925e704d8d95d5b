"""Names, titles and texts of any kind leave the structure of every page as it is, and the HTML page loads nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
import unicodedata
from collections import Counter
from functools import cache
from html.parser import HTMLParser
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
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.model_facts import ModelFacts
from synthetic_instruction_tuner.reporting.report import render_markdown

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


@cache
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


@cache
def plain_report() -> str:
    return render_markdown(full())


@cache
def tags(page: str) -> list[tuple[str, list[str]]]:
    """A page's elements and the names of their attributes, without the mark of cells with a long word."""
    return [
        (tag, sorted(name for name in attrs if (tag, name, attrs[name]) != ("td", "class", "long")))
        for tag, attrs in Page(page).tags
    ]


@settings(max_examples=8, deadline=None)
@given(texts)
def test_the_report(text: str) -> None:
    places = ["demo", "x86_64", "generator", "Synthetic instruction tuning", "responder-llama", STUDENTS[1], "passed"]
    data = swapped(full(), {place: f"{text}{number}" for number, place in enumerate(places) if place != "passed"})
    page = render_markdown(data)
    check(page, plain_report())
    assert tags(render_html(page, data.title, {})) == tags(render_html(plain_report(), "x", {}))


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


def test_an_image_that_is_no_figure_is_its_description() -> None:
    page = render_html(
        "![what](http://evil.example/a.png) and [a](http://evil.example), <http://evil.example>", "t", {}
    )
    assert not {"img", "a"} & {tag for tag, _ in Page(page).tags}
    assert "what" in page
