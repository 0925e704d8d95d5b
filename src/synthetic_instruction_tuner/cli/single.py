"""One verb per stage: brings the run as far as that stage; ``sit filter`` also takes the user's own files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    configuration,
    opened,
    output_path,
    run_folder,
)
from synthetic_instruction_tuner.cli.run import run_and_print
from synthetic_instruction_tuner.config import Config, user_settings
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.screen.terminal import echo, echo_json

METHOD_OF = {method.verb: method for method in METHODS}
if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.report import FilterReport

    Verb = str
else:
    Verb = Literal[tuple(METHOD_OF)]  # Typer reads the choices from it


def _as_far_as(stage: str | None, *, new: bool) -> Callable[..., None]:
    """Returns the verb that runs the pipeline as far as this stage; to its end where there is none.

    Args:
        new: whether it may begin a run; only what needs nothing from earlier stages does.
    """

    def verb(
        profile: Profile = None,
        config: ConfigFile = None,
        set_: Set = None,
        limit: Limit = None,
        run_dir: RunDir = None,
        yes: Yes = False,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        resolved, folder = opened(profile, config, set_, limit, run_dir, new=new, until=stage)
        run_and_print(resolved, folder, until=stage, yes=yes, as_json=as_json, quiet=quiet)

    return verb


generate, prefer = _as_far_as("generate", new=True), _as_far_as("prefer", new=False)
evaluate, report = _as_far_as("evaluate", new=False), _as_far_as(None, new=False)


def filter_(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Your own JSON, JSONL, CSV, TSV or Parquet files, or hf:NAME[:SPLIT].")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the results of your own files.",
            parser=output_path,
            metavar="FOLDER",
        ),
    ] = None,
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Filters the user's files, or runs the pipeline as far as filter."""
    if not files:
        if output:
            raise UserError("--output needs files to filter.", "", "Write for example: sit filter mine.jsonl -o out")
        resolved, folder = opened(profile, config, set_, limit, run_dir, new=False, until="filter")
        run_and_print(resolved, folder, until="filter", yes=yes, as_json=as_json, quiet=quiet)
        return
    if run_dir is not None:
        run_folder(None, run_dir).require_run()
    resolved = configuration(profile, config, set_, limit, run_dir)
    if output is None:
        raise UserError(
            "No output folder was given.", "Your own files need one for the results.", "Add one, for example: -o out"
        )
    if "keep" not in (user_settings(config, set_ or ()).get("filter") or {}):  # the profile's is meant for its own data
        own = resolved.filter.model_copy(update={"keep": resolved.limit})
        resolved = resolved.model_copy(update={"filter": own})
    report = filter_own_files(resolved, files, output, quiet=quiet or as_json)
    if as_json:
        echo_json(report.to_json())
    else:
        echo(report.summary() + f"\nSee {output}: kept.jsonl, dropped.jsonl, malformed.jsonl, filter_report.md")


def filter_own_files(config: Config, files: Sequence[Path], output: Path, *, quiet: bool) -> FilterReport:
    """Filters the user's files with a configuration's rules and models."""
    from synthetic_instruction_tuner.filtering.files import filter_files
    from synthetic_instruction_tuner.run.progress import Display
    from synthetic_instruction_tuner.run.stages.filter_inputs import generated_sets, reward_scorer

    with Display(quiet=quiet) as display:
        return filter_files(
            files,
            output,
            config.filter,
            generated=generated_sets(config),
            reward=reward_scorer(config),
            engine=config.engine,
            progress=display,
        )


def train(
    method: Annotated[Verb, typer.Argument(help="How to tune.")],
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Runs the pipeline as far as the method's stage."""
    stage = METHOD_OF[method].name
    resolved, folder = opened(profile, config, set_, limit, run_dir, new=False, until=stage)
    run_and_print(resolved, folder, until=stage, yes=yes, as_json=as_json, quiet=quiet)
