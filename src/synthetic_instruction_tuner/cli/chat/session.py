"""A chat on a terminal or through a pipe: reads messages and commands, asks the model, prints its answers.

On a terminal lines can be edited and called back, Ctrl-C stops an answer, and commands begin with a slash. Through a
pipe every line that is no command gives exactly one line: the answer, with its line breaks as ``\\n`` and its
backslashes doubled, or as JSON.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import typer

from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.reporting.screen.terminal import echo, echo_json

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Completion, Engine

INTERRUPTED = 130
COMMANDS = {
    "/new": "start a new conversation",
    "/help": "list the commands",
    "/quit": "end the chat, as does Ctrl-D",
}
_HELP = "\n".join(
    [f"{name:<7} {text}" for name, text in COMMANDS.items()]
    + ["Ctrl-C  stop an answer", "//...   a message that begins with a slash"]
)
_TRY = 'Write for example: echo "Name a color." | sit chat'


class Input:
    """The user's lines.

    Attributes:
        terminal: whether they are typed.

    Raises:
        UserError: there is no standard input, or nothing in it.
    """

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.closed:
            raise UserError("There is nothing to answer.", "Standard input is closed.", _TRY)
        self.terminal = sys.stdin.isatty()
        self.number = 0
        self._first: str | None = None
        if self.terminal:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  (its import gives `input` editing and history)
            return
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        try:
            self._first = sys.stdin.readline()
        except OSError as error:
            raise UserError("Standard input cannot be read.", error.strerror or str(error), _TRY) from None
        if not self._first:
            raise UserError("There is nothing to answer.", "Standard input is empty.", _TRY)

    def lines(self) -> Iterator[str]:
        """Yields the lines, without the white space around them, until their end."""
        while True:
            line = self._typed() if self.terminal else self._piped()
            if line is None:
                return
            self.number += 1
            yield line.strip()

    def _piped(self) -> str | None:
        line, self._first = self._first if self._first is not None else sys.stdin.readline(), None
        return line or None

    def _typed(self) -> str | None:
        while True:
            try:
                return input("> ")
            except EOFError:
                typer.echo(err=True)
                return None
            except KeyboardInterrupt:
                typer.echo("\nCtrl-D or /quit ends the chat.", err=True)
            except UnicodeDecodeError:
                typer.echo("That line is not UTF-8 text.", err=True)


@dataclass(slots=True)
class Answering:
    """The model that answers, and how."""

    engine: Engine
    template: ChatTemplate
    temperature: float
    max_new_tokens: int
    seed: int

    def answer(self, messages: list[Message]) -> tuple[str, Completion]:
        """Returns the answer to a conversation; each one has a seed of its own."""
        from synthetic_instruction_tuner.engines.base import Request

        prompt, stops = tuple(self.template.prompt_ids(messages)), tuple(self.template.stop_ids)
        request = Request(prompt, self.seed, self.max_new_tokens, stops, self.temperature)
        completion = self.engine.generate([request])[0]
        self.seed += 1
        return self.template.decode(completion.token_ids, prompt), completion


def converse(source: Input, model: Answering, system: str | None, as_json: bool) -> None:
    """Answers every line until the user ends the chat.

    Raises:
        UserError: a line from a pipe is no command.
    """
    start = [Message("system", system)] if system else []
    messages = list(start)
    with _terminable():
        for line in source.lines():
            command = line.startswith("/") and not line.startswith("//")
            if line == "/quit":
                return
            if command and line == "/new":
                messages = list(start)
            elif command:
                _tell(line, source)
            elif line or not source.terminal:
                messages = _exchange(line.removeprefix("/"), messages, model, source, as_json)


def _exchange(line: str, messages: list[Message], model: Answering, source: Input, as_json: bool) -> list[Message]:
    """Prints the answer to a message; returns the conversation with both, or without either if there is none."""
    asked = [*messages, Message("user", line)]
    if not line:  # an empty line of a pipe
        _print("", "", "", source, as_json)
        return messages
    try:
        answer, completion = model.answer(asked)
    except KeyboardInterrupt:
        if not source.terminal:
            raise
        typer.echo("\nStopped; your message is forgotten.", err=True)
        return messages
    if completion.error:
        typer.echo(f"There is no answer: {completion.error}. /new starts a new conversation.", err=True)
        if not source.terminal:
            _print(line, "", completion.finish_reason, source, as_json)
        return messages
    _print(line, answer, completion.finish_reason, source, as_json)
    return [*asked, Message("assistant", answer)]


def _print(line: str, answer: str, finish: str, source: Input, as_json: bool) -> None:
    if as_json:
        echo_json(json.dumps({"instruction": line, "response": answer, "finish": finish}))
    else:
        echo(answer if source.terminal else "\\n".join(answer.replace("\\", "\\\\").splitlines()))
    sys.stdout.flush()


def _tell(line: str, source: Input) -> None:
    """Shows the commands; tells about one that there is not."""
    if line == "/help":
        typer.echo(_HELP, err=True)
        return
    word = line.split()[0]
    near = nearest(word, COMMANDS)
    meant = f"Did you mean {near}?" if near else f"Commands: {', '.join(COMMANDS)}."
    fix = f"{meant} A message that begins with a slash is written with two: /{word}"
    if not source.terminal:
        raise UserError(f"Line {source.number} is no command: {word}", "", fix)
    typer.echo(f"There is no command {word}. {fix}", err=True)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Lets SIGTERM end the chat, where Ctrl-C only ends an answer."""

    def end(*_: object) -> NoReturn:
        sys.exit(INTERRUPTED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
