"""Every command prints in every encoding; a reader that has gone and a full disk are no crash."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table

from synthetic_instruction_tuner.cli.verbs import VERBS
from synthetic_instruction_tuner.reporting.screen.terminal import Console

SIT = [sys.executable, "-m", "synthetic_instruction_tuner"]
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
ENCODINGS: list[dict[str, str]] = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
]
EVIL = "\x1b[31m[red]x[/] [/nothing] ± 語\x9b2J\u202e"


def sit(*arguments: str, out: int | None = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*SIT, *arguments], stdout=out, stderr=subprocess.PIPE, env=PLAIN | variables)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"instruction": "What is the sea, in a few words?", "response": "Salt water ± a bit."}\n{}\n')
    return file


@pytest.mark.parametrize("variables", ENCODINGS)
def test_results_are_printed_in_any_encoding(rows: Path, tmp_path: Path, variables: dict[str, str]) -> None:
    evil = rows.rename(tmp_path / f"{EVIL}.jsonl".replace("/", ""))
    done = sit("dedup", str(evil), "-o", str(tmp_path / "±"), **variables)
    assert done.returncode == 0, done.stderr
    assert b"Of 1 records" in done.stdout
    assert not {b"\x1b", b"\x9b"} & {done.stdout[i : i + 1] for i in range(len(done.stdout))}
    assert (tmp_path / "±" / "kept.jsonl").read_bytes().decode("utf-8").count("±") == 1


@pytest.mark.parametrize("variables", ENCODINGS)
def test_json_means_the_same_in_any_encoding(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "mine.yaml").write_text("report: {title: ± 語 😀}", encoding="utf-8")
    done = sit("plan", "--json", "--config", str(tmp_path / "mine.yaml"), **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("ascii"))["config"]["report"]["title"] == "± 語 😀"


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("plan", "--json")])
def test_a_reader_that_has_gone_is_no_error(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = sit(*arguments, out=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("variables", [{"PYTHONUNBUFFERED": "1"}, {"PYTHONUNBUFFERED": ""}])
def test_output_on_a_full_disk_is_said(variables: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = sit("--version", out=full.fileno(), **variables)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[0] == "Standard output cannot be written."
    assert b"Traceback" not in done.stderr and b"ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_messages_that_nobody_can_read_stop_nothing(rows: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [*SIT, "dedup", str(rows), "-o", str(tmp_path / "out")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full)
    assert done.returncode == 0
    assert (tmp_path / "out" / "kept.jsonl").exists()


def test_help_is_plain() -> None:
    assert all(verb.help.isascii() for verb in VERBS.values())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_table_shows_texts_as_they_are(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    table = Table("name", title=EVIL)
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(table)
    stream.flush()
    shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert shown.count("\\x1b[31m[red]x[/] [/nothing] ") == 3
    assert not set("\x1b\x9b\u202e") & set(shown)
    assert len({len(line.rstrip()) for line in shown.splitlines()[2:] if line.strip()}) <= 2  # the frame is whole


def test_a_progress_line_shows_texts_as_they_are() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as live:
        live.add_task(EVIL)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\\x1b[31m[red]x[/] [/nothing] ±" in shown
    assert "\x1b[31m" not in shown and "\x9b" not in shown


def test_only_one_module_has_richs_console() -> None:
    source = Path(__file__).parents[2] / "src" / "synthetic_instruction_tuner"
    users = [f for f in source.rglob("*.py") if "from rich.console import Console\n" in f.read_text(encoding="utf-8")]
    assert users == []
