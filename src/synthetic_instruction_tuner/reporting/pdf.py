"""The report as PDF, printed by a browser that the machine has, or by WeasyPrint; nothing is installed for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file
from synthetic_instruction_tuner.errors import RunError, UserError

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge"),
    *(
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ),
)
OFFLINE = ("--disable-background-networking", "--disable-sync", "--disable-default-apps", "--no-first-run")
LONGEST = 300  # seconds


def find_printer() -> str:
    """Returns the browser that prints, or ``weasyprint``.

    Raises:
        UserError: the machine has neither.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and importlib.util.find_spec("weasyprint") is None:
        raise UserError(
            "This machine has nothing that makes a PDF.",
            "Neither Chromium, Chrome or Edge nor WeasyPrint is installed.",
            "Install one (pip install weasyprint), or open docs/report.html in a browser and print it.",
        )
    return found or "weasyprint"


def write_pdf(page: Path, printer: str) -> Path:
    """Prints an HTML page; parts that fold are open. Returns the PDF, which lies beside the page.

    Args:
        page: a self-contained page.
        printer: what `find_printer` returned.

    Raises:
        RunError: the printer failed.
    """
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as folder:
        opened = Path(folder) / "report.html"
        opened.write_text(page.read_text(encoding="utf-8").replace("<details>", "<details open>"), encoding="utf-8")
        made = Path(folder) / "report.pdf"
        if printer == "weasyprint":
            import weasyprint

            weasyprint.HTML(str(opened)).write_pdf(str(made))
        else:
            _print(printer, opened, made, Path(folder) / "browser")
        with atomic_file(target) as stream:
            stream.write(made.read_bytes())
    return target


def _print(browser: str, page: Path, made: Path, profile: Path) -> None:
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as root a browser has no sandbox; the page has no script
    command = [browser, "--headless", "--disable-gpu", *(["--no-sandbox"] if root else []), *OFFLINE]
    command += [f"--user-data-dir={profile}", "--no-pdf-header-footer", f"--print-to-pdf={made}", page.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        last = str(error)
    if not made.is_file():
        fix = "Open docs/report.html in a browser and print it."
        raise RunError(f"{browser} did not print the report.", last, fix)
