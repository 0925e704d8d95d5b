"""The sandbox's first process: runs commands and a login shell that persists, and answers one JSON line each.

Run by the sandbox's Python, with nothing but Python's library. It can be neither killed nor traced from inside, and
everything ends with it, which is when its input closes.

Requests: ``{"do": "run", "argv": [...], "seconds": 30}`` runs a fresh process in ``/``, and ``{"do": "type", "command":
"...", "seconds": 30}`` types a command into the shell, whose directory and variables stay.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import struct
import termios
import time
from contextlib import suppress
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.shell_output import (
    COMMAND,
    STATUS,
    ShellOutput,
    end,
    typed,
)

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "xterm",
    "HOSTNAME": "agentbench",
}
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU)
TICK = 0.2  # seconds between two looks at the memory


class Supervisor:
    """Serves requests; see the module."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._kept, self._memory = int(settings["kept"]), int(settings["memory"])
        self._ended: dict[int, int] = {}  # by process, its wait status
        self._waste: set[int] = set()  # what background processes still write to
        self._shell = self._terminal = 0
        self._looked = 0.0

    def serve(self) -> None:
        """Answers requests until the input closes."""
        text = b""
        while True:
            if 0 in self._turn([0], TICK):
                data = os.read(0, 65_536)
                if not data:
                    return
                text += data
            while b"\n" in text:
                line, _, text = text.partition(b"\n")
                answer = json.dumps(self._answer(json.loads(line)))
                _write(1, answer.encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        seconds = float(request.get("seconds", 30))
        if request["do"] == "run":
            code, output = self.run([str(word) for word in request["argv"]], seconds)
            return {"code": code, "output": output.decode("utf-8", "replace")}
        return {"output": self.type(str(request["command"]), seconds).decode("utf-8", "replace")}

    # Fresh processes

    def run(self, argv: list[str], seconds: float) -> tuple[int, bytes]:
        """Runs a program in ``/`` and returns its exit code and its output, both streams together."""
        out, into = os.pipe()
        try:
            process = self._spawn(argv, os.open("/dev/null", os.O_RDWR), into)
        except OSError as error:
            os.close(out)
            return 126, f"{argv[0]}: {error.strerror}\n".encode()
        finally:
            os.close(into)
        kept, deadline = bytearray(), time.monotonic() + seconds
        late = False
        while process not in self._ended:
            if out in self._turn([out], min(TICK, max(deadline - time.monotonic(), 0.01))):
                self._read(out, kept)
            if time.monotonic() > deadline and not late:
                late = True
                _kill(-process)
        while out in self._turn([out], 0) and self._read(out, kept):
            pass
        self._waste.add(out)
        status = self._ended.pop(process)
        return (124 if late else os.waitstatus_to_exitcode(status) % 256), bytes(kept)

    def _read(self, source: int, into: bytearray) -> bool:
        """Reads what is there; only as much is kept as anybody looks at."""
        try:
            data = os.read(source, 65_536)
        except OSError:
            data = b""
        into += data[: max(0, self._kept - len(into))]
        return bool(data) and len(into) < self._kept

    def _spawn(self, argv: list[str], source: int, into: int, terminal: bool = False) -> int:
        """Starts a program with these streams, leader of a session of its own; closes the source."""
        try:
            process = os.fork()
        finally:
            if "process" not in locals() or process:
                os.close(source)
        if process:
            return process
        try:
            os.setsid()
            if terminal:
                fcntl.ioctl(source, termios.TIOCSCTTY, 0)
            for number, stream in enumerate((source, into, into)):
                os.dup2(stream, number)
            os.closerange(3, 1024)
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")  # rather it than this process, where memory runs out
            os.chdir("/")
            for ignored in (*IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(ignored, signal.SIG_DFL)
            os.execvpe(argv[0], argv, ENVIRONMENT)
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    # The shell

    def type(self, command: str, seconds: float) -> bytes:
        """Types a command into the shell, started where there is none, and returns what it prints.

        One that does not end in time is interrupted, then killed; what it has printed by then is returned.
        """
        if not self._shell or self._shell in self._ended:
            try:
                self._start_shell()
            except OSError as error:
                return f"bash: {error.strerror}\n".encode()
        token = os.urandom(8).hex()
        try:
            _file(COMMAND, command)
            _file(STATUS, "return $1")
        except OSError as error:
            return f"bash: {error.strerror}\n".encode()
        whole = ShellOutput(self._kept, token)
        self._say(typed(token))
        late = not self._listen(whole, seconds)
        text = whole.text()
        if late:
            self._interrupt(whole, token)
        for name in (COMMAND, STATUS):
            with suppress(OSError):
                os.unlink(name)
        return text

    def _start_shell(self) -> None:
        if self._terminal:
            os.close(self._terminal)
            self._terminal = 0
        self._ended.pop(self._shell, None)
        self._terminal, inner = os.openpty()
        settings = termios.tcgetattr(inner)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(inner, termios.TCSANOW, settings)
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._terminal, False)
        self._shell = self._spawn(["bash", "--noediting", "--login"], inner, inner, terminal=True)

    def _say(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._terminal, text.encode())

    def _listen(self, whole: ShellOutput, seconds: float) -> bool:
        """Reads the terminal until the mark; False where the time is up before."""
        deadline = time.monotonic() + seconds
        while not whole.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            ready = self._turn([self._terminal], min(left, TICK))
            if self._terminal in ready:
                try:
                    whole.add(os.read(self._terminal, 65_536))
                    continue
                except OSError as error:
                    if error.errno == errno.EIO:  # nobody holds the other end any more
                        _kill(self._shell)
                        self._await_shell()
            if self._shell in self._ended:
                return True
        return True

    def _interrupt(self, whole: ShellOutput, token: str) -> None:
        """Brings the shell back: by Ctrl-C, by killing what runs in front, or by a new shell."""
        for attempt in range(3):
            if attempt:
                try:
                    front = os.tcgetpgrp(self._terminal)
                    _kill(-front if front != self._shell else self._shell)
                except OSError:
                    _kill(self._shell)
            else:
                self._say("\x03")
                time.sleep(0.1)
            self._say(f"\n{end(token)}")
            if self._listen(whole, 1.0):
                return
        _kill(self._shell)
        self._await_shell()

    def _await_shell(self) -> None:
        while self._shell not in self._ended:
            self._turn([], 0.05)

    # What happens meanwhile

    def _turn(self, sources: list[int], seconds: float) -> set[int]:
        """Waits for one of these to be readable; meanwhile drains what nobody reads, and buries the dead."""
        watched = [*sources, *self._waste]
        try:
            ready = set(select.select(watched, [], [], seconds)[0])
        except InterruptedError:
            ready = set()
        for source in ready & self._waste:
            try:
                data = os.read(source, 65_536)
            except OSError:
                data = b""
            if not data:
                self._waste.discard(source)
                os.close(source)
        self._bury()
        if time.monotonic() - self._looked > TICK:
            self._looked = time.monotonic()
            held, largest = _resident()
            if held > self._memory and largest:
                _kill(largest)
        return ready & set(sources)

    def _bury(self) -> None:
        for _ in range(1000):
            process = 0
            with suppress(ChildProcessError):
                process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self._ended[process] = status
            if len(self._ended) > 10_000:  # orphans of the agent's, about which nobody asks
                self._ended = {k: v for k, v in self._ended.items() if k in (process, self._shell)}


def _file(name: str, text: str) -> None:
    """Writes a file anew: not through a link that somebody has laid there."""
    with suppress(FileNotFoundError):
        os.unlink(name)
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        _write(handle, text.encode("utf-8", "replace").replace(b"\0", b""))
    finally:
        os.close(handle)


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _kill(process: int) -> None:
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)


def _resident() -> tuple[int, int]:
    """Returns the bytes of memory that all processes here hold for themselves, and the process that holds most."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            with suppress(OSError, IndexError, ValueError), open(f"/proc/{name}/statm") as file:
                words = file.read().split()
                found[int(name)] = (int(words[1]) - int(words[2])) * 4096
    return sum(found.values()), max(found, key=lambda process: found[process], default=0)


def main(settings: dict[str, Any]) -> None:
    """Serves the requests at standard input."""
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: nobody inside may trace it or open its files
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    _write(1, b'{"ready": true}\n')
    Supervisor(settings).serve()
