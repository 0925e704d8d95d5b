"""One sandbox that runs: its supervisor is asked over a pipe, one JSON line each way."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import carried
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits

GRACE = 30.0  # seconds that an answer may take beyond its command's limit
START = 30.0  # seconds until a sandbox must be there


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did.

    Attributes:
        code: its exit code; 124 where the time was up, 126 where it could not be started.
        output: what it printed, both streams together; its first part where it is long.
    """

    code: int
    output: str


class Machine:
    """A running sandbox.

    Args:
        command: starts the supervisor in it, with its streams.
        limits: what a command may use.
        afterwards: called once it has ended.

    Raises:
        EnvironmentFailed: it does not start.
    """

    def __init__(self, command: Sequence[str], limits: Limits, afterwards: Callable[[], None] = lambda: None) -> None:
        self._limits, self._afterwards, self._text = limits, afterwards, b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the sandbox
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            afterwards()
            raise EnvironmentFailed(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            self._write(_told(limits))
            if not self._answer(START).get("ready"):
                raise EnvironmentFailed("the sandbox answers in an unknown way")
        except EnvironmentFailed:
            self.close()
            raise

    def run(self, argv: Sequence[str]) -> Ran:
        """Runs a fresh program in the directory ``/``.

        Raises:
            EnvironmentFailed: the sandbox is gone.
        """
        answer = self._ask({"do": "run", "argv": list(argv)})
        return Ran(int(answer["code"]), str(answer["output"]))

    def type(self, command: str) -> str:
        """Types a command into the login shell, whose directory and variables stay, and returns what it prints.

        Raises:
            EnvironmentFailed: the sandbox is gone.
        """
        return str(self._ask({"do": "type", "command": command})["output"])

    def close(self) -> None:
        """Ends everything that runs in it, and throws its files away."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._errors.close()
        self._afterwards()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._write(json.dumps(request | {"seconds": self._limits.seconds}).encode() + b"\n")
        return self._answer(self._limits.seconds + GRACE)

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # the second where it has been closed
            raise EnvironmentFailed(f"the sandbox has ended{self._said()}") from error

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        source, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(source, select.POLLIN)
        while b"\n" not in self._text:
            if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise EnvironmentFailed(f"the sandbox does not answer within {seconds:.0f} seconds")
            data = os.read(source, 1 << 20)
            if not data:
                raise EnvironmentFailed(f"the sandbox has ended{self._said()}")
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EnvironmentFailed("the sandbox answers in an unknown way")
        return answer

    def _said(self) -> str:
        """Returns the last line of what went wrong."""
        if self._errors.closed:
            return ""
        with suppress(subprocess.TimeoutExpired):  # what it has to say may still come
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


OpenMachine = Callable[[], Machine]
"""Starts a sandbox."""


def program(python: str) -> list[str]:
    """Returns what runs as a sandbox's first process; what it does is told to it over the pipe."""
    return [python, "-I", "-S", "-c", "import json; exec(json.loads(input())['program'])"]


@cache
def _told(limits: Limits) -> bytes:
    """Returns the first line for `program`: what it executes, with the supervisor's settings."""
    settings = {"kept": limits.kept, "memory": limits.memory}
    return json.dumps({"program": f"{carried.inside()}\nmain({settings})\n"}).encode() + b"\n"


def _environment() -> dict[str, str]:
    """Returns what the programs that start a sandbox see; a sandbox itself sees nothing of the host's environment."""
    kept = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "CONTAINER_HOST", "DBUS_SESSION_BUS_ADDRESS")
    return {name: os.environ[name] for name in kept if name in os.environ}
