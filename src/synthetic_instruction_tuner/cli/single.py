"""One verb per stage: brings the run as far as that stage; ``sit filter`` also takes the user's own files."""

from __future__ import annotations

import json
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
    configuration,
    existing_run,
    run_folder,
)
from synthetic_instruction_tuner.cli.run import run_and_print
from synthetic_instruction_tuner.cli.values import output_path
from synthetic_instruction_tuner.config import Config, user_settings
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS

METHOD_OF = {method.verb: method for method in METHODS}
if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.report import FilterReport

    Verb = str
else:
    Verb = Literal[tuple(METHOD_OF)]  # Typer reads the choices from it


def _as_far_as(stage: str | None) -> Callable[..., None]:
    """Returns the verb that runs the pipeline as far as this stage; to its end where there is none."""

    def verb(
        profile: Profile = None,
        config: ConfigFile = None,
        set_: Set = None,
        limit: Limit = None,
        run_dir: RunDir = None,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        resolved = configuration(profile, config, set_, limit, run_dir)
        run_and_print(resolved, run_folder(resolved, run_dir), until=stage, as_json=as_json, quiet=quiet)

    return verb


generate, prefer, evaluate, report = map(_as_far_as, ("generate", "prefer", "evaluate", None))


def filter_(
    files: Annotated[list[Path] | None, typer.Argument(help="Your own JSON, JSONL or Parquet files.")] = None,
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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Filters the user's files, or runs the pipeline as far as filter."""
    resolved = configuration(profile, config, set_, limit, run_dir)
    if not files:
        if output:
            raise UserError("--output needs files to filter.", "", "Write for example: sit filter mine.jsonl -o out")
        run_and_print(resolved, run_folder(resolved, run_dir), until="filter", as_json=as_json, quiet=quiet)
        return
    if output is None:
        raise UserError(
            "No output folder was given.", "Your own files need one for the results.", "Add one, for example: -o out"
        )
    if "keep" not in (user_settings(config, set_ or ()).get("filter") or {}):  # the profile's is meant for its own data
        own = resolved.filter.model_copy(update={"keep": resolved.limit})
        resolved = resolved.model_copy(update={"filter": own})
    report = filter_own_files(resolved, files, output, quiet=quiet or as_json)
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        typer.echo(report.summary() + f"\nSee {output}: kept.jsonl, dropped.jsonl, malformed.jsonl, filter_report.md")


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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Runs the pipeline as far as the method's stage."""
    resolved = configuration(profile, config, set_, limit, run_dir)
    run_and_print(resolved, run_folder(resolved, run_dir), until=METHOD_OF[method].name, as_json=as_json, quiet=quiet)


def compare(run_dir: RunDir = None, as_json: Json = False) -> None:
    """Prints the comparison."""
    from synthetic_instruction_tuner.cli.summary import print_comparison, stored_comparison

    _, folder = existing_run(run_dir)
    rows = stored_comparison(folder)
    if not rows:
        raise UserError(
            "Nothing has been evaluated yet.", f"{folder.root} holds no comparison.", "Run 'sit evaluate' first."
        )
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
    else:
        print_comparison(rows, everything=True)
