"""After SIGTERM the command leaves at once, and in no case late; its end takes no time of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.training.recovery.stopping import Stopped

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
FORKING = """
import os, signal
app.LEAVING = 0.3
def works(arguments):
    print("works", flush=True)
    ready, begins = os.pipe()
    if not (child := os.fork()):
        os.closerange(0, 3)
        try:
            os.write(begins, b"1")
            time.sleep(60)
        finally:  # of SIGTERM
            os._exit(0)
    os.read(ready, 1)
    time.sleep(0.1)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    time.sleep(1)
    here, there = os.pipe()
    if not os.fork():  # it lives for as long as this process
        os.closerange(0, 3)
        os.close(there)
        os.read(here, 1)
        os._exit(0)
    return 0
app._exit_code = works
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


def test_forked_processes_neither_end_a_command_nor_keep_it_from_leaving() -> None:
    done = subprocess.run([sys.executable, "-c", HEAD + FORKING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "works\nin order True\n", "")


def test_what_a_training_has_noted_is_not_sent_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Timer", None)
    app._signal_again(SimpleNamespace(exc_value=Stopped()))  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", "")


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
