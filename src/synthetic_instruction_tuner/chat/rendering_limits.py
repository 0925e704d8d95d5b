"""Limits on what rendering a chat template may take: time, memory and the length of the text.

A template is a program, and one that loops or allocates without end would stop doctor and run for good. Each
conversation is rendered in another process, which can be ended, before it is rendered in this one. That takes 0.1 ms. A
template may loop for certain words alone, so that no conversation speaks for another one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.errors import RunError, UserError

SECONDS = 1.0  # of processor time, for one conversation; the templates in use take a few milliseconds
MEMORY = 512 << 20  # bytes of address space of the process that renders
LONGEST = 1_000_000  # characters beyond twenty times those of the messages
_SCRIPT = Path(__file__).with_name("rendering_process.py")
_WHY = {
    "time": f"it takes more than {SECONDS:g} second of processor time",
    "memory": f"it takes more than {MEMORY / 1e9:.1f} GB of memory",
    "length": f"it makes a text of more than {LONGEST:,} characters",
    "crash": "it ends the process that renders it",
}


class RenderingLimit(UserError):
    """A chat template takes more time or memory than any conversation needs, or writes a text without end."""


def check_rendering(name: str, source: str, turns: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
    """Makes sure that a template renders a conversation within the limits, before it is rendered in this process.

    Args:
        name: the model whose template it is, for the message.
        source: the template.
        turns: the messages, as the template gets them.
        options: its other variables.

    Raises:
        RenderingLimit: it does not.
    """
    size = sum(len(str(turn)) for turn in turns)
    variables = {"tools": None, "documents": None, **options, "messages": list(turns)}
    request = {"source": source, "variables": variables, "longest": LONGEST + 20 * size}
    exceeded = _process.ask(json.dumps(request, default=str))
    if exceeded:
        roles = ", ".join(str(turn["role"]) for turn in turns)
        begins = " ".join(source.split())[:60]
        raise RenderingLimit(
            f"The chat template of {name} cannot be used.",
            f"for the turns {roles}, {_WHY[exceeded]}; it begins with '{begins}'",
            "Get the model's files again from a source that you trust, or name another template in its chat_template.",
        )


class _Process:
    """The process that renders: started when it is first needed, and again after it has been ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, request: str) -> str | None:
        """Returns what a rendering exceeds, or None."""
        with self._lock:
            running = self._started()
            assert running.stdin and running.stdout
            try:
                running.stdin.write(request + "\n")
                running.stdin.flush()
                line = running.stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:  # interrupted: its answer would be taken for that to the next request
                self._end()
                raise
            if line:
                return dict(json.loads(line)).get("exceeded")
            code = self._end()
            return "time" if code == -getattr(signal, "SIGPROF", 0) else "crash"

    def close(self) -> None:
        """Ends the process, if it runs."""
        with self._lock:
            if self._owner == os.getpid():
                self._end()

    def _started(self) -> subprocess.Popen[str]:
        if self._running is None or self._owner != os.getpid():  # a forked process has one of its own
            command = [sys.executable, "-P", str(_SCRIPT), str(MEMORY), str(SECONDS)]
            try:
                self._running = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C is for this process
                )
            except OSError as error:
                fix = "Close other programs, or raise the limit on processes, then run the same command again."
                raise RunError("No process can be started to try chat templates in.", str(error), fix) from error
            self._owner = os.getpid()
        return self._running

    def _end(self) -> int:
        running, self._running = self._running, None
        if running is None:
            return 0
        for stream in (running.stdin, running.stdout):
            with contextlib.suppress(OSError, ValueError):
                if stream:
                    stream.close()
        try:
            return running.wait(timeout=SECONDS * 5)
        except subprocess.TimeoutExpired:
            running.kill()
            return running.wait()


_process = _Process()
atexit.register(_process.close)
