"""Tables and lines fit every screen, and nothing is lost: above all no number is ever cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import paragraph
from synthetic_instruction_tuner.reporting.screen.wrapping import longest_number, shorten, visible, wrap

LETTERS = "abcXYZ-_/.:漢字テスト中é\u0301"
WORDS = st.text(LETTERS, min_size=1, max_size=40)
NUMBERS = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: f"{x:.2f}±{abs(x) / 7:.2f}*"),
    st.integers(0, 10**9).map(lambda n: f"{n:,}"),
    st.floats(1e-9, 1e9).map(lambda x: f"{x:.3g}"),
    st.floats(0, 1).map(lambda x: f"{x:.1%}"),
)
SENTENCES = st.lists(st.one_of(WORDS, NUMBERS), max_size=12).map(" ".join)
NAMES = st.builds("{}{}".format, WORDS, st.one_of(st.just(""), st.integers(0, 10**6)))
WIDTHS = st.one_of(st.none(), st.integers(40, 250))
DIGITS = re.compile(r"\d[\d.,]*\d|\d")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    keys, values = draw(st.integers(1, 2)), draw(st.integers(0, 9))
    columns = [Column(draw(NAMES), "name", key=True) for _ in range(keys)]
    columns += [Column(draw(NAMES), "whole", right=draw(st.booleans())) for _ in range(values)]
    note = draw(st.booleans())
    table = Table(*columns, *([Column("note")] if note else []), headings=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 4))):
        names, numbers = [draw(NAMES) for _ in range(keys)], [draw(NUMBERS) for _ in range(values)]
        table.add(*names, *numbers, *([draw(SENTENCES)] if note else []))
    return table


def cells_of(table: Table) -> list[str]:
    return [cell for cells, _ in table._rows for cell in cells]


@given(tables(), WIDTHS)
def test_no_number_is_cut_and_no_line_is_too_long(table: Table, width: int | None) -> None:
    lines = [line for line, _ in table.lines(width)]
    shown = "\n".join(lines)
    for cell in cells_of(table):
        for number in DIGITS.findall(cell):
            assert number in shown
    for column, *cells in zip(table.columns, *(row for row, _ in table._rows), strict=True):
        if column.kind == "whole":
            assert all(cell in shown for cell in cells)
    assert all(line == line.rstrip() for line in lines)
    if width is not None:
        assert all(cell_len(line) <= max(width, longest_number(line) + 2) for line in lines), (width, lines)


@given(tables(), st.integers(40, 250))
def test_no_letter_is_lost(table: Table, width: int) -> None:
    def letters(lines: list[str]) -> list[str]:
        return sorted(c for c in "".join(lines) if not c.isspace())

    have = letters([line for line, _ in table.lines(width)])
    for c in set(have) | set("".join(cells_of(table))) - set(" "):
        assert have.count(c) >= "".join(cells_of(table)).count(c)


@given(tables())
def test_in_a_pipe_a_row_is_a_line(table: Table) -> None:
    lines = [line for line, _ in table.lines(None)]
    assert len(lines) == len(table._rows) + table.headings
    assert not any(c in line for line in lines for c in "\x1b\r…")


@given(SENTENCES, st.integers(1, 120))
def test_a_wrapped_text_is_the_text(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert cell_len(line) <= max(width, longest_number(line), 2)
    for number in DIGITS.findall(text):
        assert any(number in line for line in lines)


@given(SENTENCES, st.integers(40, 120), st.integers(0, 8))
def test_a_paragraph_keeps_its_indentation(text: str, width: int, indent: int) -> None:
    for line in paragraph(" " * indent + text, width):
        assert not line or line.startswith(" " * indent)
        assert cell_len(line) <= width or len(line.split()) == 1, "only a word that is too long is in a longer line"


@given(st.text(max_size=60), st.integers(0, 80))
def test_a_shortened_name_has_both_ends(name: str, width: int) -> None:
    short = shorten(visible(name), width)
    assert cell_len(short) <= width
    if short != visible(name) and width >= 5:
        head, tail = short.split("…", 1) if "…" not in name else (short[:1], "")
        assert visible(name).startswith(head) and visible(name).endswith(tail)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("Qwen/Qwen2.5-1.5B-Instruct", 9, ["Qwen/", "Qwen2.5-", "1.5B-", "Instruct"]),
        ("loss 0.88 -> 0.34", 7, ["loss", "0.88 ->", "0.34"]),
        ("p 1.5e-05", 5, ["p", "1.5e-05"]),
        ("prompt_strict", 8, ["prompt_", "strict"]),
        ("漢字漢字", 4, ["漢字", "漢字"]),
        ("", 4, [""]),
        ("Continue with 'sit run -d a/b'.", 20, ["Continue with", "'sit run -d a/b'."]),
        ("Continue with 'sit run -d a/b'.", 12, ["Continue", "with 'sit", "run -d a/b'."]),
    ],
)
def test_where_lines_break(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


def test_what_is_printed_has_no_control_characters() -> None:
    assert visible("a\x1b[31mb\nc\td\u202ee") == "a\\x1b[31mb c d\\u202ee"


def test_a_markdown_table_survives_any_cell() -> None:
    table = Table(Column("name", key=True), Column("value", "whole", right=True))
    table.add("a|b <script> ![x](http://x) *", "1.5")
    lines = table.markdown().splitlines()
    assert lines[:2] == ["| name | value |", "| --- | ---: |"]
    assert lines[2] == "| a\\|b \\<script\\> !\\[x\\](http://x) \\* | 1.5 |"


def test_what_gives_way_as_the_screen_narrows() -> None:
    table = Table(Column("stage", "name", key=True), Column("time", "whole"), Column("memory", "whole"), Column("note"))
    table.add("prompt_tuning", "1 min 08 s", "1.1 GB", "student-llama loss 0.91 -> 0.84")
    assert [line for line, _ in table.lines(80)] == [
        "stage          time        memory  note",
        "prompt_tuning  1 min 08 s  1.1 GB  student-llama loss 0.91 -> 0.84",
    ]
    assert [line for line, _ in table.lines(44)] == [
        "stage          time        memory",
        "prompt_tuning  1 min 08 s  1.1 GB",
        "  student-llama loss 0.91 -> 0.84",
    ]
    narrow = [line for line, _ in table.lines(26)]
    assert narrow[:2] == ["stage          time", "prompt_tuning  1 min 08 s"]
    assert [line for line, _ in table.lines(12)] == [
        "prompt_",
        "tuning",
        "  time: 1",
        "  min 08 s",
        "  memory:",
        "  1.1 GB",
        "  note:",
        "  student-",
        "  llama loss",
        "  0.91 ->",
        "  0.84",
    ]
