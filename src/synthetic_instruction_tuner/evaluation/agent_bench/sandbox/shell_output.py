"""What a shell prints for one command: what stands between marks that it prints itself.

Runs inside the sandbox, with nothing but Python's library.
"""

from __future__ import annotations

import re

FOLDER = "/dev/shm"  # where a command lies while the shell reads it
COMMAND, STATUS = f"{FOLDER}/.command", f"{FOLDER}/.status"
MARK = 512  # bytes in which a mark is looked for
_CONTROLS = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements, modes
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles
    rb"|\x1b[()*+][A-Za-z0-9]|\x1b."  # the rest
    rb"|[\x00-\x08\x0b-\x1f\x7f]"
)
_PROMPT = re.compile(rb"[^\n]*[#$>] ?\n?\Z")
_PLACE = re.compile(re.escape(COMMAND.encode()) + rb": (?:line \d+: )?")


class ShellOutput:
    """Takes what comes from a shell's terminal.

    Args:
        kept: bytes of output that are kept.
        token: what the marks of this command have and no other's.

    Attributes:
        ended: whether the shell waits for the next command.
    """

    def __init__(self, kept: int, token: str) -> None:
        self._kept, self._token = kept, token.encode()
        self._begin, self._done, self._end = (f"\x01{letter}{token}\x02".encode() for letter in "BDE")
        self._head, self._tail, self._started = b"", b"", False
        self.ended = False

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        self.ended = self.ended or self._end in self._tail + data
        self._tail = (self._tail + data)[-MARK:]
        self._head += data
        if not self._started:
            _, mark, self._head = self._head.rpartition(self._begin)
            self._started = bool(mark)
        self._head = self._head[: self._kept + MARK] if self._started else self._head[-MARK:]

    def text(self) -> bytes:
        """Returns what the command printed, without what a terminal does with it."""
        text, done, _ = self._head.partition(self._done) if self._started else (b"", b"", b"")
        if not done:
            text, end, _ = text.partition(self._end)
        text = clean(text[: self._kept])
        if not done and end:  # the shell ended, or another one began: its prompt is no output
            text = _PROMPT.sub(b"", text)
        # A program that read the terminal has read the marks, and may have shown them.
        return b"".join(line for line in text.splitlines(keepends=True) if self._token not in line)


def clean(text: bytes) -> bytes:
    """Returns a text without a terminal's sequences, and with line feeds alone."""
    return _PLACE.sub(b"", _CONTROLS.sub(b"", text))


def typed(token: str) -> str:
    """Returns what is typed so that a shell executes the command's file, between marks."""
    return f" {_mark('B', token)}; . {COMMAND}; {_mark('D', token)}\n{end(token)}"


def end(token: str) -> str:
    """Returns what is typed to learn that the shell, or one that it has begun, waits for a command."""
    return f" {_mark('E', token)}\n"


def _mark(letter: str, token: str) -> str:
    """Returns what makes a shell print a mark, and keeps the status of its last command."""
    return f"eval \"printf '\\001{letter}{token}\\002'; . {STATUS} $?\""
