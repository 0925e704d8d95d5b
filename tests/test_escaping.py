"""Whatever a text contains, each format shows it as text, and nothing in it does anything."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from html.parser import HTMLParser

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from synthetic_instruction_tuner import escaping
from synthetic_instruction_tuner.escaping import one_line, visible

PIECES = [
    "![x](http://evil.example/a.png)",
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "<http://evil.example>",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x07link",
    "\x9b2J",
    "\u202egnp.exe",
    "\ud800",
    "=1+1",
    "+1",
    "-0.5",
    "@SUM(1)",
    "\t=1",
    "'",
    "|",
    "\\",
    "\\|",
    "`",
    "```",
    "~~~",
    "~~x~~",
    "$x$",
    "__x__",
    "*",
    "&amp;",
    "&#x41;",
    "\n",
    "\r\n",
    "\n\n---\n\n",
    "# ",
    "- ",
    "1. ",
    "===",
    "> ",
    "[red]",
    "[/]",
    "![a][b]",
    "[b]: http://evil.example",
    ": ",
    "---",
    "null",
    "é",
    "±",
    "語",
    " ",
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=8).map("".join)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def hidden(text: str) -> list[str]:
    """What a reader would not see, or would see elsewhere."""
    return [
        c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(c) in BIDI
    ]


def leaves(tokens: list[Token]) -> list[Token]:
    return [leaf for token in tokens for leaf in (token.children if token.children is not None else [token])]


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)


def said(tokens: list[Token]) -> str:
    """The text of inline tokens, which must be nothing but text."""
    assert {token.type for token in tokens} <= {"text", "text_special"}
    return "".join(token.content for token in tokens)


@given(texts)
def test_nothing_is_hidden(text: str) -> None:
    assert hidden(visible(text)) == []
    assert hidden(visible(text, keep="\n\t").replace("\n", "").replace("\t", "")) == []
    assert visible(visible(text)) == visible(text)


def test_texts_of_every_language_stay() -> None:
    text = "naïve 語 हिन्दी می‌خواهم 👩‍👩‍👧 שלום"
    assert visible(text) == escaping.markdown(text) == escaping.html(text) == escaping.terminal(text) == text


@given(texts)
def test_a_paragraph(text: str) -> None:
    tokens = parsed(escaping.markdown(text))
    kinds = [token.type for token in tokens]
    assert kinds == (["paragraph_open", "inline", "paragraph_close"] if one_line(text) else [])
    assert said(leaves(tokens)[1:-1] if kinds else []) == one_line(text)


@pytest.mark.parametrize("before", ["# ", "- ", "### ", "1. "])
@given(text=texts)
def test_a_heading_and_a_list(before: str, text: str) -> None:
    tokens = parsed(f"{before}{escaping.markdown(text)}\n\nEnd.\n")
    assert sum(token.type.endswith("_open") for token in tokens) == (2 if "#" in before else 4) - (
        not one_line(text) and "#" not in before
    )
    assert (
        said([t for token in tokens if token.type == "inline" for t in token.children or []]) == one_line(text) + "End."
    )


@given(st.lists(texts, min_size=2, max_size=4))
def test_a_tables_row(cells: list[str]) -> None:
    row = " | ".join(map(escaping.markdown, cells))
    tokens = parsed(f"|{' a |' * len(cells)}\n|{'---|' * len(cells)}\n| {row} |\n\nEnd.\n")
    found = [said(tokens[i + 1].children or []) for i, token in enumerate(tokens) if token.type == "td_open"]
    assert found == [one_line(cell) for cell in cells]
    assert sum(token.type == "tr_open" for token in tokens) == 2


@given(texts)
def test_a_fenced_block(text: str) -> None:
    tokens = parsed(f"Before.\n\n{escaping.fenced(text)}\n\nAfter.\n")
    assert [token.type for token in tokens if token.level == 0] == [
        *("paragraph_open", "paragraph_close", "fence", "paragraph_open", "paragraph_close")
    ]
    shown = visible(re.sub("\r\n?", "\n", text), keep="\n\t")
    assert next(token.content for token in tokens if token.type == "fence") == shown + "\n"


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(texts)
def test_html(text: str) -> None:
    reader = Reader()
    reader.feed(f'<p title="{escaping.html(text)}">{escaping.html(text)}</p>')
    reader.close()
    shown = visible(text, keep="\n\t")
    assert (reader.tags, reader.values, reader.text) == (["p"], [shown], shown)


@given(st.lists(texts, min_size=1, max_size=4))
def test_a_csv_row(cells: list[str]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([*map(escaping.csv_cell, cells), "end"])
    assert stream.getvalue().count("\n") == 1
    (row,) = csv.reader(io.StringIO(stream.getvalue()))
    for found, cell in zip(row, [*cells, "end"], strict=True):
        assert found.removeprefix("'") == visible(cell) or found == visible(cell)
        assert found.lstrip()[:1] not in tuple("=+-@") or float(found) == float(cell)


@pytest.mark.parametrize("number", ["-0.5", "+3", "-1e-05", "12", "-.5"])
def test_a_number_stays_a_number(number: str) -> None:
    assert escaping.csv_cell(number) == number


def test_an_apostrophe_at_the_start_is_told_from_ours() -> None:
    assert escaping.csv_cell("'=1") == "''=1"
    assert escaping.csv_cell("=1") == "'=1"


@given(texts)
def test_metadata(text: str) -> None:
    header = yaml.safe_dump({"title": escaping.metadata(text), "tags": ["a"]}, sort_keys=False, allow_unicode=True)
    assert yaml.safe_load(header) == {"title": one_line(text), "tags": ["a"]}
    assert not re.search("^---", header, re.MULTILINE)


@given(texts, st.sampled_from(["utf-8", "ascii", "cp1252", "latin-1", "shift_jis"]))
def test_a_terminal_of_any_encoding(text: str, encoding: str) -> None:
    shown = escaping.terminal(text, encoding)
    assert shown.encode(encoding).decode(encoding) == shown
    assert hidden(shown.replace("\n", "").replace("\t", "")) == []
    if encoding == "utf-8":
        assert shown == visible(text.replace("\r\n", "\n"), keep="\n\t")


def test_signs_have_substitutes() -> None:
    assert escaping.terminal("▸ 0.5 ± 0.1 … 語", "ascii") == "> 0.5 +/- 0.1 ... \\u8a9e"


@given(texts)
def test_a_figures_label(text: str) -> None:
    label = escaping.figure_text(text)
    assert hidden(label) == []
    assert len(label) <= escaping.LONGEST_LABEL + 1
    assert not label.startswith("_")
