"""The PDF: printed by what the machine has, and a message where it has nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.reporting import pdf

PAGE = "<!DOCTYPE html><title>x</title><details><summary>s</summary>text</details>"
PRINTER = """#!{python}
import pathlib, sys
(target,) = [a.partition("=")[2] for a in sys.argv if a.startswith("--print-to-pdf=")]
page = pathlib.Path(sys.argv[-1].removeprefix("file://")).read_text()
pathlib.Path(target).write_bytes(b"%PDF " + page.encode())
"""


def test_without_a_printer_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="nothing that makes a PDF") as caught:
        pdf.find_printer()
    assert "weasyprint" in caught.value.fix and "report.html" in caught.value.fix


def test_a_browser_is_taken_before_weasyprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda name: "/bin/" + name if name == "google-chrome" else None)
    assert pdf.find_printer() == "/bin/google-chrome"
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: object())
    assert pdf.find_printer() == "weasyprint"


@pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")
def test_folded_parts_are_open_on_paper(tmp_path: Path) -> None:
    page, printer = tmp_path / "report.html", tmp_path / "browser"
    page.write_text(PAGE, encoding="utf-8")
    printer.write_text(PRINTER.format(python=sys.executable), encoding="utf-8")
    printer.chmod(0o755)
    made = pdf.write_pdf(page, str(printer))
    assert made == tmp_path / "report.pdf" and b"<details open>" in made.read_bytes()
    assert page.read_text(encoding="utf-8") == PAGE


def test_a_printer_that_fails_is_named(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGE, encoding="utf-8")
    for broken in (tmp_path / "none", Path(sys.executable)):
        with pytest.raises(RunError, match="did not print"):
            pdf.write_pdf(page, str(broken))
    assert not (tmp_path / "report.pdf").exists()
