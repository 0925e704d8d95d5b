"""The command `sit`: a table of verbs, and how errors become three lines and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer
from rich.console import Console

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.cli import chat, dedup, doctor, plan, run, single, status
from synthetic_instruction_tuner.errors import RunError, SitError
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

INTERRUPTED = 130
GOES_ON = "Interrupted. What was finished is kept; the same command goes on from there."

app = typer.Typer(
    name="sit",
    help="From no data at all to a tuned and evaluated small language model.\n\n"
    "'sit run' does the whole job: with no options offline, on a CPU, in minutes. Running it again continues.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run", help=run.HELP)(run.run)
app.command("plan", help=plan.HELP)(plan.plan)
app.command("status", help=status.HELP)(status.status)
app.command("doctor", help=doctor.HELP)(doctor.doctor)
app.command("generate", help=single.HELP["generate"])(single.as_far_as("generate"))
app.command("filter", help=single.HELP["filter"])(single.filter_)
app.command("dedup", help=dedup.HELP)(dedup.dedup)
app.command("prefer", help=single.HELP["prefer"])(single.as_far_as("prefer"))
app.command("train", help=single.HELP["train"])(single.train)
app.command("evaluate", help=single.HELP["evaluate"])(single.as_far_as("evaluate"))
app.command("compare", help=single.HELP["compare"])(single.compare)
app.command("report", help=single.HELP["report"])(single.as_far_as(None))
app.command("chat", help=chat.HELP)(chat.chat)


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
    quiet_libraries()
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_exit_code(list(sys.argv[1:] if arguments is None else arguments)))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _exit_code(arguments: list[str]) -> int:
    if "--debug" in arguments:  # wherever it stands on the line
        arguments.remove("--debug")
        os.environ["SIT_DEBUG"] = "1"
    try:
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _show(_disk_error(error))
    except Exception as error:
        if show := getattr(error, "show", None):  # a usage error, of whichever click typer brings along
            show()
            return 2
        # Libraries in other languages (safetensors, Arrow) have errors of their own for it.
        full = os.strerror(errno.ENOSPC) in str(error)
        return _show(_full() if full else _unexpected(error))


def _disk_error(error: OSError) -> SitError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return _full(error.filename) if full else _unexpected(error)


def _full(file: object = None) -> SitError:
    return RunError(
        "The disk is full.",
        f"{file or 'A file'} could not be written; all earlier work is safe.",
        "Free some space, then run the same command again.",
    )


def _unexpected(error: Exception) -> SitError:
    return RunError(
        f"Something unexpected went wrong: {type(error).__name__}.",
        " ".join(str(error).split())[:500],
        "Run the same command again to go on from what is finished; --debug shows where it happened.",
    )


def _show(error: SitError) -> int:
    if os.environ.get("SIT_DEBUG"):
        import traceback

        traceback.print_exc()
    for line in error.lines():
        _say(line)
    return error.exit_code


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
