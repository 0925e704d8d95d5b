"""The run folder's lock, and what is shown while work goes on."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.progress import display as progress

HOLDER = f"""
import sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from synthetic_instruction_tuner.run.folder import RunFolder
with RunFolder(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


# Folder


def test_the_paths_are_the_plan_s() -> None:
    folder = RunFolder(Path("r"))
    assert folder.raw == Path("r/data/raw/instructions_raw.json")
    assert folder.filtered == Path("r/data/filtered/instructions_filtered.json")
    assert folder.filter_report == Path("r/data/filtered/filter_report.json")
    assert folder.pairs == Path("r/data/preference/preference_pairs.json")
    assert folder.model("sft", "s") == Path("r/models/sft/s")
    assert folder.comparison == Path("r/evaluation/metrics/comparison_summary.csv")
    assert folder.results == Path("r/evaluation/results")
    assert folder.report == Path("r/docs/report.md")
    assert (folder.config, folder.store) == (Path("r/config.json"), Path("r/run.sqlite"))


def test_one_process_holds_a_run_and_the_lock_dies_with_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "deep" / "run")
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout and child.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="in use") as caught, folder.hold():
            pass
        assert len(caught.value.lines()) == 3
        with RunFolder(tmp_path / "another").hold():
            pass
    finally:
        child.kill()
        child.communicate()
    with folder.hold():
        pass


def test_the_same_process_cannot_hold_a_run_twice(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.hold(), pytest.raises(UserError, match="in use"), RunFolder(tmp_path).hold():
        pass
    with folder.hold():
        pass


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError), RunFolder(tmp_path).hold():
        raise ValueError
    with RunFolder(tmp_path).hold():
        pass


def test_an_error_of_the_work_is_not_taken_for_the_folder_s(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), RunFolder(tmp_path).hold():
        (tmp_path / "none").read_text()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for root in (file, file / "below", Path("/proc/none"), tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match="cannot be used") as caught, RunFolder(root).hold():
            pass
        assert len(caught.value.lines()) == 3


# Progress


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def shown(quiet: bool = False, terminal: bool = False) -> tuple[Display, io.StringIO]:
    stream = io.StringIO()
    return Display(quiet, Console(file=stream, force_terminal=terminal, highlight=False, width=120)), stream


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_left_is_the_stages_to_come_and_the_rest_of_this_one(clock: Clock) -> None:
    display, stream = shown()
    display.plan({"generate": 100.0, "sft": 60.0, "dpo": 40.0})
    for stage, seconds in (("generate", 100), ("sft", 60)):
        display.enter_stage(stage, stage)
        clock.now += seconds  # as planned
        display.leave_stage(stage)
    display.leave_stage("sft")
    display.leave_stage("unknown")
    display.enter_stage("dpo", "Align")
    lines = stream.getvalue().splitlines()
    assert [line.split("(")[1] for line in lines] == [
        "about 3 min 20 s left in total)",
        "about 1 min 40 s left in total)",
        "about 40 s left in total)",
    ]


def test_without_a_terminal_there_is_a_line_now_and_then(clock: Clock) -> None:
    display, stream = shown()
    with display, display.task("writing", 1000, "texts") as advance:
        for _ in range(1000):
            clock.now += 0.1
            advance(1, "loss 0.5")
    lines = stream.getvalue().splitlines()
    assert 8 <= len(lines) <= 10  # 100 seconds, a line every ten, none at the end
    assert lines[0] == "  writing: 100 of 1,000 texts, about 1 min 30 s left; loss 0.5"
    assert "\x1b" not in stream.getvalue() and "\r" not in stream.getvalue()


def test_the_eta_counts_only_this_attempt_s_pace(clock: Clock) -> None:
    display, stream = shown()
    with display.task("writing", 1000, "texts", done=900) as advance:
        clock.now += 20
        advance(50)
    assert stream.getvalue() == "  writing: 950 of 1,000 texts, about 20 s left\n"


def test_a_long_task_prints_a_few_lines_not_thousands(clock: Clock) -> None:
    display, stream = shown()
    with display.task("writing", 36_000, "texts") as advance:
        for _ in range(36_000):
            clock.now += 1
            advance(1)
    lines = stream.getvalue().splitlines()
    assert 10 <= len(lines) <= 80  # in ten hours
    assert lines[0].endswith("left")


def test_a_dumb_terminal_is_given_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    display, stream = shown(terminal=True)
    with display, display.task("writing", 100, "texts") as advance:
        clock.now += 50
        advance(50)
    assert stream.getvalue() == "  writing: 50 of 100 texts, about 50 s left\n"


def test_a_task_of_unknown_size_still_says_something(clock: Clock) -> None:
    display, stream = shown()
    with display.task("judging", 0, "records") as advance:
        clock.now += 20
        advance(5000)
    assert stream.getvalue() == "  judging: 5,000 records\n"


def test_quiet_is_quiet(clock: Clock) -> None:
    for terminal in (False, True):
        display, stream = shown(quiet=True, terminal=terminal)
        with display, display.task("writing", 100, "texts") as advance:
            display.say("hello")
            display.enter_stage("a", "A")
            clock.now += 60
            advance(10)
        assert stream.getvalue() == ""


def test_names_in_brackets_are_not_markup() -> None:
    display, stream = shown()
    display.say("[red]model[/x] [1/3]")
    assert stream.getvalue() == "[red]model[/x] [1/3]\n"


@pytest.mark.parametrize("total", (10, 0))
def test_on_a_terminal_there_is_a_bar_that_goes_away(clock: Clock, total: int) -> None:
    display, stream = shown(terminal=True)
    with display:
        with display.task("writing [x]", total, "texts", done=2) as advance:
            advance(3, "loss 0.5")
            advance()
            assert display._live
            assert [t.completed for t in display._live.tasks] == [6]
            assert display._live.tasks[0].fields["note"] == "loss 0.5"
            clock.now += 1
            display._live.refresh()
        assert display._live.tasks == []
        display.say("after")
    assert display._live is None
    assert "after" in stream.getvalue()


def test_a_task_ends_with_its_error() -> None:
    display, _ = shown(terminal=True)
    with display:
        with pytest.raises(ValueError), display.task("writing", 10, "texts"):
            raise ValueError
        assert display._live and display._live.tasks == []
