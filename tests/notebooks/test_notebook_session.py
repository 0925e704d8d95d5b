"""What the notebooks share: one folder for all, kept choices, figures of what is done, tables of any text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.data_files import export_rows
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.notebooks import Session, session, text_table
from synthetic_instruction_tuner.run.remaining import Ahead


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    return Session.open("nano", 20, ["generate.count=10"])


def test_opening_writes_nothing_and_says_where_it_is(opened: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert opened.folder.root == Path("runs/notebooks-nano") and not Path("runs").exists()
    assert (opened.config.generate.count, opened.config.prefer.pairs, opened.config.limit) == (10, 20, 20)
    assert opened.stages[0] == "generate" and opened.stages[-1] == "report"
    capsys.readouterr()
    opened._say_where()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Profile nano (") and said[0].endswith("at most 20 of everything")
    assert said[-1] == "Run folder: runs/notebooks-nano. Done there: nothing yet."


def test_auto_keeps_the_profile_that_the_run_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a new session with another GPU would do everything again."""
    monkeypatch.setattr(session, "fitting_profile", lambda hardware: "cpu")
    assert Session.open("auto", 8, folder=tmp_path).config.profile == "cpu"
    (tmp_path / "config.json").write_text(load_config("t4", limit=4).as_json())
    again = Session.open("auto", 8, folder=tmp_path)
    assert (again.config.profile, again.config.generate.count) == ("t4", 8)


def test_finished_work_that_took_long_is_kept() -> None:
    def ahead(seconds: float) -> Ahead:
        stage = SimpleNamespace(step=SimpleNamespace(stage=SimpleNamespace(name="sft")))
        return cast("Ahead", SimpleNamespace(lost_seconds=seconds, replaced=[stage]))

    session._keep_long_work(ahead(session.ASKED_FROM - 1))
    with pytest.raises(UserError, match=r"took 10 min .*: sft") as error:
        session._keep_long_work(ahead(session.ASKED_FROM))
    assert "replace=True" in error.value.fix


def test_figures_show_what_is_done(opened: Session) -> None:
    with pytest.raises(UserError, match="no figure 'funnel'") as error:
        opened.figure("funnel")
    assert "filter_funnel" in error.value.fix
    with pytest.raises(UserError, match="nothing to draw in figure 'lengths'"):
        opened.figure("lengths")
    rows = [Record(f"raw-{i}", "What is the sea?", "Much water. " * (i + 1), domain="sea") for i in range(5)]
    export_rows([row.to_json() for row in rows], opened.folder.raw)
    assert [record.instruction for record in opened.generated()] == ["What is the sea?"] * 5
    assert opened.figure("lengths")._repr_png_().startswith(b"\x89PNG")


def test_pairs_are_read_as_they_were_written(opened: Session) -> None:
    pair = PreferencePair("pair-000000", "raw-1", "Hello?", "Hi.", "No.", "a", "b", 2.0, -1.5)
    export_rows([pair.to_json()], opened.folder.pairs)
    [found] = opened.pairs()
    assert (found.instruction, found.chosen, found.rejected, found.margin) == ("Hello?", "Hi.", "No.", 3.5)
    assert (found.chosen_model, found.rejected_model) == ("a", "b")


def test_tables_of_texts_are_inert_and_keep_their_lines() -> None:
    text = "<script>alert(1)</script>\n<img src=x onerror=alert(2)>"
    table: Any = pd.DataFrame({"answer": [text], "score": [1.23456]})
    html = text_table(table).to_html()
    assert "<script>" not in html and "<img" not in html and "&lt;script&gt;" in html
    assert "white-space: pre-wrap" in html and "1.23<" in html
    twice = pd.concat([table, table]).set_index("answer")  # the same instruction in two rows
    assert text_table(twice).to_html().count("1.23<") == 2
    named = text_table(table.set_index("answer")).to_html()
    assert "<script>" not in named and "&lt;script&gt;" in named
