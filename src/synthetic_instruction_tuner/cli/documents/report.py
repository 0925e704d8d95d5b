"""``sit report`` and ``sit slides``: bring a run to its end, where both are written."""

from __future__ import annotations

from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Profile,
    Quiet,
    RunDir,
    Set,
    Yes,
    opened,
)
from synthetic_instruction_tuner.cli.run import run_and_print
from synthetic_instruction_tuner.reporting.screen.terminal import echo

Pdf = Annotated[
    bool, typer.Option("--pdf", help="Also print report.pdf, with a browser or WeasyPrint if there is one.")
]


def report(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    pdf: Pdf = False,
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Brings a run to its end; the report may also become a PDF."""
    from synthetic_instruction_tuner.reporting.pdf import find_printer, write_pdf

    resolved, folder = opened(profile, config, set_, limit, run_dir, new=False)
    printer = find_printer() if pdf else ""
    run_and_print(resolved, folder, yes=yes, as_json=as_json, quiet=quiet)
    if printer:
        made = write_pdf(folder.report.with_suffix(".html"), printer)
        if not (as_json or quiet):
            echo(f"  PDF         {made}")


def slides(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Brings a run to its end, where the slides are."""
    resolved, folder = opened(profile, config, set_, limit, run_dir, new=False)
    run_and_print(resolved, folder, yes=yes, as_json=as_json, quiet=quiet)
