"""Errors as the user sees them: three short lines and an exit code.

A bad *record* is data and never raises; a bad *setting* raises `UserError` before anything is loaded; a run that
cannot continue raises `RunError`, and its finished work is kept in the store.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Sequence

from synthetic_instruction_tuner.web_addresses import without_secrets


class SitError(Exception):
    """An error that is shown as problem, cause and fix, without a traceback and without keys of web addresses.

    Attributes:
        problem: what happened, in one line.
        cause: why, with the value or file at fault.
        fix: what to do about it.
        exit_code: what the command `sit` returns.
    """

    exit_code = 1

    def __init__(self, problem: str, cause: str = "", fix: str = "") -> None:
        self.problem, self.cause, self.fix = (without_secrets(text) for text in (problem, cause, fix))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Returns the lines to show: the problem, then the cause and the fix if there are any."""
        named = [("", self.problem), ("  why: ", self.cause), ("  fix: ", self.fix)]
        return [name + " ".join(text.splitlines()) for name, text in named if text]

    def _render_traceback_(self) -> list[str]:
        """Returns what a notebook shows of it: these lines; with ``SIT_DEBUG`` the traceback."""
        return traceback.format_exception(self) if os.environ.get("SIT_DEBUG") else self.lines()


class UserError(SitError):
    """The user's mistake: a wrong setting, file or argument. Exit code 2."""

    exit_code = 2


class UserErrors(UserError):
    """Several mistakes in one input, shown together.

    Attributes:
        errors: the mistakes.
    """

    def __init__(self, errors: Sequence[SitError]) -> None:
        self.errors = tuple(errors)
        first = errors[0]
        super().__init__(f"{first.problem} (1 of {len(errors)} mistakes)", first.cause, first.fix)

    def lines(self) -> list[str]:
        """Returns their number, then the lines of each."""
        return [f"There are {len(self.errors)} mistakes.", *(line for one in self.errors for line in one.lines())]


def together(errors: Sequence[SitError]) -> SitError:
    """Returns one error for one or several mistakes."""
    return errors[0] if len(errors) == 1 else UserErrors(errors)


class RunError(SitError):
    """A run that cannot continue (full disk, damaged store, no rows left). Exit code 1; running again resumes it."""


def is_disk_full(error: OSError) -> bool:
    """Returns whether a write failed because the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(place: object = None) -> RunError:
    """Returns the error for a full disk.

    Args:
        place: the file or folder that could not be written, if it is known.
    """
    return RunError(
        "The disk is full.",
        f"{place or 'A file'} could not be written; all earlier work is safe.",
        "Free some space, then run the same command again.",
    )
