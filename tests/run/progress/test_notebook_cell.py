"""A notebook's cell as a screen: one output, drawn again in place, and nothing of it on standard error."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Console
from synthetic_instruction_tuner.run.progress import Display, display, notebook_cell
from synthetic_instruction_tuner.run.progress.notebook_cell import EVERY, NotebookCell


class Screen:
    """Keeps what is shown; `shown` is what the reader sees now, `outputs` how many there are."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.outputs, self.drawings = 0, 0

    def show(self, bundle: dict[str, str]) -> Screen:
        self.outputs += 1
        self.update(bundle, raw=True)
        return self

    def update(self, obj: dict[str, str], **options: Any) -> None:
        assert options == {"raw": True}
        self.shown, self.drawings = obj, self.drawings + 1


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """What a display shows that is opened in a kernel."""
    found = Screen()
    monkeypatch.setattr(display, "notebook_cell", lambda: NotebookCell(found.show))
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(notebook_cell.time, "monotonic", lambda: now.seconds)
    return now


def test_a_run_is_one_output(screen: Screen, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as shown:
        shown.say("Profile nano\nOn 2 CPU cores")
        shown.enter_stage("generate", "Generate: Magpie")
        with shown.task("writing", 200, "texts") as advance:
            for _ in range(100):
                clock.seconds += EVERY / 10
                advance(1, "12 tokens/s")
            assert screen.drawings < 20
            lines = screen.shown["text/plain"].split("\n")
            assert lines[:3] == ["Profile nano", "On 2 CPU cores", "▸ Generate: Magpie"]
            assert len(lines) == 4 and lines[3].startswith("  writing: ") and lines[3].endswith("; 12 tokens/s")
            assert '<progress max="1" value="0.' in screen.shown["text/html"]
        shown.say("  done: 200 texts")
    assert screen.outputs == 1
    assert screen.shown["text/plain"] == "Profile nano\nOn 2 CPU cores\n▸ Generate: Magpie\n  done: 200 texts"
    assert "<b>▸ Generate: Magpie</b>" in screen.shown["text/html"] and "<progress" not in screen.shown["text/html"]
    assert capsys.readouterr() == ("", "")


def test_a_short_task_is_not_drawn(screen: Screen, clock: SimpleNamespace) -> None:
    with Display() as shown:
        shown.say("begin")
        with shown.task("writing", 3, "texts") as advance:
            advance(3)
    assert screen.drawings == 1


def test_a_task_of_unknown_length_has_a_bar_without_a_value(screen: Screen, clock: SimpleNamespace) -> None:
    with Display() as shown, shown.task("reading", 0, "rows") as advance:
        clock.seconds += EVERY
        advance(7)
        assert "reading: 7 rows" in screen.shown["text/plain"]
        assert '<progress max="1"></progress>' in screen.shown["text/html"]


def test_texts_are_shown_as_texts(screen: Screen) -> None:
    display_ = Display()
    display_.say("<script>alert(1)</script> \x1b[31m http://user:secret@host/v1")
    assert "<script>" not in screen.shown["text/html"] and "&lt;script&gt;" in screen.shown["text/html"]
    for text in screen.shown.values():
        assert "\x1b" not in text and "secret" not in text


def test_tables_keep_their_columns(screen: Screen) -> None:
    table = Table(Column("stage", key=True), Column("time", "whole"))
    table.add("generate", "3 s")
    table.add("sft", "12 s")
    Display().table(table)
    head, *rows = screen.shown["text/plain"].split("\n")
    assert head.startswith("stage") and [row.split()[0] for row in rows if "s" in row][-2:] == ["generate", "sft"]
    assert "white-space: pre" in screen.shown["text/html"]


def test_a_quiet_display_shows_nothing(screen: Screen) -> None:
    with Display(quiet=True) as shown, shown.task("writing", 2, "texts") as advance:
        shown.say("hello")
        advance()
    assert screen.outputs == 0


def test_only_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in (None, SimpleNamespace()):  # no shell at all, and IPython in a terminal
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert notebook_cell.notebook_cell() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    assert isinstance(notebook_cell.notebook_cell(), NotebookCell)


@pytest.mark.parametrize("kernel", (False, True))
def test_a_command_that_a_notebook_starts_draws_nothing_again(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`!sit run` has a terminal there, whose control codes would all be in the output."""
    if kernel:
        monkeypatch.setenv("JPY_PARENT_PID", "1")
    else:
        monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    stream = io.StringIO()
    with Display(console=Console(file=stream, force_terminal=True, width=80, _environ={"TERM": "xterm"})) as shown:
        with shown.task("writing", 3, "texts") as advance:
            advance(3)
        shown.say("done")
    assert ("\x1b[?25l" in stream.getvalue()) is not kernel  # the cursor is hidden while a line is drawn again
    assert "done" in stream.getvalue()
