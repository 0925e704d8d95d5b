"""Makes the README's pictures from a real run: ``python docs/pictures.py FOLDER``.

It runs ``sit run -d FOLDER`` in a pseudo-terminal and draws what the terminal shows at the end, photographs the first
screen of the run's report, and takes its figure of the scores. A folder with a recording is not run again. Needs
``pip install pyte`` and Chromium.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from itertools import groupby
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
COLUMNS, ROWS = 88, 400  # all that a run writes fits the rows: nothing scrolls away
HEAD, TAIL = 23, 9  # lines of the picture; what is left out between them is marked
RECORDING = "terminal.log"
WIDTH, HEIGHT = 1000, 960  # of the report's first screen, in CSS pixels
FORMAT = re.sub(r" *@font-face {{.*?}}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # it fetches nothing
FORMAT = FORMAT.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main(folder: Path) -> None:
    """Writes the three pictures."""
    recording = folder.parent / f"{folder.name}-{RECORDING}"
    command = ["sit", "run", "-d", str(folder)]
    if not recording.exists():
        record(command, recording)
    draw(recording, f"$ {' '.join(command[:2])}", IMAGES / "terminal.svg")
    photograph(folder / "docs/report.html", IMAGES / "report.png")
    shutil.copyfile(folder / "evaluation/figures/benchmarks.png", IMAGES / "benchmarks.png")


def record(command: list[str], recording: Path) -> None:
    """Runs a command in a pseudo-terminal and keeps every byte that it writes.

    Raises:
        RuntimeError: the command failed.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    recording.parent.mkdir(parents=True, exist_ok=True)
    partly = recording.with_suffix(".part")
    with partly.open("wb", buffering=0) as file:
        while part := _read(terminal):
            file.write(part)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError(f"{' '.join(command)} ended with exit code {code}")
    partly.rename(recording)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the child has closed its side
        return b""


def draw(recording: Path, prompt: str, target: Path) -> None:
    """Draws the terminal after all of a recording."""
    lines = screen(recording.read_bytes())
    if (more := len(lines) - HEAD - TAIL) > 0:
        lines = [*lines[:HEAD], Text(f"… {more} more lines …", style="dim"), *lines[-TAIL:]]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(prompt, style="bold"))
    for line in lines:
        console.print(line, no_wrap=True, crop=True)
    target.write_text(console.export_svg(title="sit run", code_format=FORMAT, unique_id="sit"), encoding="utf-8")


def screen(written: bytes) -> list[Text]:
    """Returns the lines that a terminal shows after these bytes, with their colors."""
    terminal = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(terminal).feed(written)
    lines = []
    for row in range(terminal.cursor.y + 1):
        line = Text()
        cells = (terminal.buffer[row][column] for column in range(COLUMNS))
        for style, found in groupby(cells, _style):
            line.append("".join(cell.data for cell in found), style)
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _style(cell: pyte.screens.Char) -> Style:
    color = None if cell.fg == "default" else cell.fg if cell.fg.isalpha() else f"#{cell.fg}"
    return Style(color=color, bold=cell.bold, italic=cell.italics)


def photograph(page: Path, target: Path) -> None:
    """Photographs the first screen of a page.

    Raises:
        RuntimeError: there is no Chromium.
    """
    browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if browser is None:
        raise RuntimeError("Chromium is not installed")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}", "--force-device-scale-factor=1.5", f"--screenshot={target}",
            page.resolve().as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
