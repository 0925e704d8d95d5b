"""After SIGTERM the command leaves at once, and in no case late; its end takes no time of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from synthetic_instruction_tuner.cli import app

HEAD = """
import atexit, gc, time
from synthetic_instruction_tuner.cli import app
atexit.register(lambda: print("in order", gc.get_freeze_count() > 1000))
"""
DEAF = """
app.LEAVING = 0.3
def works(arguments):
    try:
        print("works", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:  # as a library may do
        pass
    time.sleep(60)
app._exit_code = works
app.main([])
"""
UNLUCKY = """
class Deleted:
    def __del__(self):
        print("works", flush=True)
        time.sleep(0.5)
class Root:
    def __call__(self, *arguments, **options):
        Deleted()
        time.sleep(60)
app.typer.main.get_command = lambda _: Root()
app.LEAVING = 60
app.main([])
"""
POLITE = """
class Root:
    def __call__(self, *arguments, **options):
        print("works", flush=True)
        time.sleep(60)
app.typer.main.get_command = lambda _: Root()
app.main([])
"""


@pytest.mark.parametrize(
    ("work", "ends"),
    [(POLITE, "in order True\n"), (UNLUCKY, "in order True\n"), (DEAF, "")],
    ids=["at once", "in a destructor", "nowhere"],
)
def test_a_command_leaves_in_time_even_if_the_interrupt_is_lost(work: str, ends: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + work], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "works\n"
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=60)  # both are waiting for longer
    assert process.returncode == app.INTERRUPTED == 130
    assert (out, error.strip()) == (ends, app.GOES_ON)


def test_a_command_within_a_program_leaves_its_signals_as_they_were() -> None:
    threads = threading.active_count()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit):
            app.main(["--version"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads


def test_a_second_signal_does_not_disturb_the_first() -> None:
    before = signal.signal(signal.SIGTERM, app._interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
