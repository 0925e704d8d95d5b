"""The command `sit`: its verbs, loaded when they are called, and how errors become three lines and an exit code."""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO, cast

import typer
from typer.core import TyperGroup

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.cli.known_errors import folder_gone, known
from synthetic_instruction_tuner.cli.verbs import VERBS
from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.escaping import SUBSTITUTE
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries
from synthetic_instruction_tuner.web_addresses import holds_secret, without_secrets

INTERRUPTED = 130
OBJECTS_BETWEEN_SEARCHES = 50_000  # Python looks for cycles after 700: a sixth of the time that importing torch takes
GOES_ON = "Interrupted. Finished work is kept; run the same command again to continue."
LEAVING = 8.0  # seconds after SIGTERM; machines that are taken away give 10 or more


class _Verbs(TyperGroup):
    """Imports a verb's module when the verb is called; until then, only its help text is known."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name else None, rest


OPTIONS: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

app = typer.Typer(
    name="sit",
    cls=_Verbs,
    help="From no data at all to a tuned and evaluated small language model.\n\n"
    "'sit run' runs the whole pipeline: without options offline, on a CPU, in minutes. Run it again to resume.",
    no_args_is_help=True,
    **OPTIONS,
)


def _not_loaded() -> None:
    """Placeholder for a verb until it is called."""


for _name, _verb in VERBS.items():
    app.command(_name, help=_verb.help)(_not_loaded)


def load_verb(name: str) -> Any:
    """Returns the command that runs a verb, with its options; imports what it needs."""
    verb = VERBS[name]
    module = importlib.import_module(f"synthetic_instruction_tuner.cli.{verb.module}")
    alone = typer.Typer(**OPTIONS)
    alone.command(name, help=verb.help)(getattr(module, verb.function))
    return typer.main.get_command(alone)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks of errors."),
) -> None:
    if debug:
        os.environ["SIT_DEBUG"] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with 0 (done), 1 (failed), 2 (user's mistake) or 130 (interrupted)."""
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES)
    quiet_libraries()
    signal.signal(signal.SIGTERM, _interrupt)
    _open_streams()
    with _leaving_in_time():
        code = _flushed(_exit_code(list(sys.argv[1:] if arguments is None else arguments)))
    gc.freeze()  # Python looks for cycles once more as it ends: with torch loaded that takes seconds and finds nothing
    sys.exit(code)


@contextmanager
def _leaving_in_time() -> Iterator[None]:
    """Within it the process ends at the latest `LEAVING` seconds after SIGTERM.

    Python handles a signal when the main thread is back from a library's code, where what the handler raises may be
    caught. The process is then ended where it is. Like a kill, that loses no finished work.
    """
    if os.name != "posix":  # elsewhere SIGTERM ends a process at once
        yield
        return
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    left = threading.Event()

    def end() -> None:
        while not left.is_set() and (received := os.read(told, 1)):
            if received[0] == signal.SIGTERM and not left.wait(LEAVING):
                os.write(2, f"{GOES_ON}\n".encode())
                os._exit(INTERRUPTED)

    # What is sent to a forked process is not meant for this one.
    os.register_at_fork(after_in_child=lambda: left.is_set() or signal.set_wakeup_fd(-1))
    sys.unraisablehook, hook = _signal_again, sys.unraisablehook
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    watching = threading.Thread(target=end, daemon=True)
    watching.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        sys.unraisablehook = hook
        left.set()
        with suppress(BlockingIOError):  # full, so there is something to read
            os.write(tells, b"\0")  # closing it ends nothing while a forked process holds it, too
        watching.join()
        os.close(tells)
        os.close(told)


def _signal_again(lost: sys.UnraisableHookArgs) -> None:
    """Sends a signal once more whose interrupt was lost, as all is that is raised while an object is deleted."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    if type(lost.exc_value) is not KeyboardInterrupt:
        return  # a training has noted the signal, and stops before its next pass
    number = signal.SIGINT
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        number = signal.SIGTERM
        signal.signal(number, _interrupt)
    again = threading.Timer(0.05, os.kill, (os.getpid(), number))
    again.daemon = True  # a command that is done by then does not wait for it
    again.start()


def _open_streams() -> None:
    """Lets standard output and error take any text in any encoding, and tells their faults from those of files."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # a closed one's number would go to the next file opened
        pass
    os.close(spare)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SUBSTITUTE)
    if sys.stdout:
        sys.stdout = cast("TextIO", _Stream(sys.stdout, needed=True))
    if sys.stderr:
        sys.stderr = cast("TextIO", _Stream(sys.stderr, needed=False))


class _OutputLost(Exception):
    """Standard output cannot be written; `reason` says why."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Stream:
    """A stream whose faults are its own: without messages a run goes on, without standard output it ends."""

    def __init__(self, stream: TextIO, needed: bool) -> None:
        self._stream, self._needed = stream, needed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._faults():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._faults():
            self._stream.flush()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._needed:
                raise _OutputLost(error) from error


def _flushed(code: int) -> int:
    """Writes what is left of standard output; returns the exit code, which is no success if that fails."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except _OutputLost as lost:
        return code or _without_output(lost.reason)
    return code


def _without_output(reason: OSError) -> int:
    """Returns the exit code when standard output is lost: 0 if its reader has seen enough, as with ``| head``."""
    _drop_output()
    if isinstance(reason, BrokenPipeError):
        return 0
    fix = "Send it somewhere else; what the command has done is kept."
    return _show(RunError("Standard output cannot be written.", reason.strerror or str(reason), fix))


def _drop_output() -> None:
    """Sends what standard output still holds nowhere: Python would fail with it once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would end what is done about the first
    raise KeyboardInterrupt


def _exit_code(arguments: list[str]) -> int:
    if "--debug" in arguments:  # anywhere on the line
        arguments.remove("--debug")
        os.environ["SIT_DEBUG"] = "1"
    try:
        _refuse_secrets(arguments)
        result = typer.main.get_command(app)(arguments, prog_name="sit", standalone_mode=False)
        code = int(result or 0)
        if code == INTERRUPTED:
            _say(GOES_ON)
        return code
    except SitError as error:
        return _show(error)
    except (KeyboardInterrupt, typer.Abort):
        _say(GOES_ON)
        return INTERRUPTED
    except _OutputLost as lost:
        return _without_output(lost.reason)
    except Exception as error:
        if show := getattr(error, "show", None):  # a usage error, from typer's own copy of click
            error.message = without_secrets(error.message)  # type: ignore[attr-defined]
            show()
            return 2
        return _show(folder_gone() or known(error) or _unexpected(error))


def _refuse_secrets(arguments: Sequence[str]) -> None:
    """Raises a mistake for an address with a key in it; of settings, the settings themselves say which it is."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before != "--set" and not argument.startswith("--set=") and holds_secret(argument):
            raise UserError(
                "An argument holds a password or a key in a web address.",
                "Command lines are kept by shells and shown to others on the same machine.",
                "Leave it out. The key of a server belongs in an environment variable that api_key_env names.",
            )


def _unexpected(error: Exception) -> SitError:
    return RunError(
        f"Something unexpected went wrong: {type(error).__name__}.",
        " ".join(str(error).split())[:500],
        "Run the same command again to continue; --debug shows where it happened.",
    )


def _show(error: SitError) -> int:
    if os.environ.get("SIT_DEBUG"):
        import traceback

        _say(without_secrets(traceback.format_exc()))
    for line in error.lines():
        _say(line)
    return error.exit_code


def _say(line: str) -> None:
    from synthetic_instruction_tuner.reporting.screen.terminal import Screen

    Screen(stderr=True).say(line)


if __name__ == "__main__":
    main()
