"""One verb per stage: brings the run as far as that stage; filter and prefer also take the user's own files."""

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
    Yes,
    configuration,
    opened,
    output_path,
    run_folder,
)
from synthetic_instruction_tuner.cli.run import run_and_print
from synthetic_instruction_tuner.config import Config, user_settings
from synthetic_instruction_tuner.config.sections.section import LARGEST
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.screen.terminal import echo, echo_json

METHOD_OF = {method.verb: method for method in METHODS}
if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.report import FilterReport

    Verb = str
else:
    Verb = Literal[tuple(METHOD_OF)]  # Typer reads the choices from it


def _as_far_as(stage: str | None, *, new: bool = False) -> Callable[..., None]:
    """Returns the verb that runs the pipeline as far as this stage.

    Args:
        stage: the last one, or None for all.
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


generate = _as_far_as("generate", new=True)
evaluate = _as_far_as("evaluate")
slides = _as_far_as(None)

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


OwnFiles = Annotated[
    list[Path] | None, typer.Argument(help="Your own JSON, JSONL, CSV, TSV or Parquet files, or hf:NAME[:SPLIT].")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for the results of your own files.",
        parser=output_path,
        metavar="FOLDER",
    ),
]


def filter_(
    files: OwnFiles = None,
    output: Output = None,
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
    resolved, output = _for_own_files(profile, config, set_, limit, run_dir, output)
    if "keep" not in (user_settings(config, set_ or ()).get("filter") or {}):  # the profile's is meant for its own data
        own = resolved.filter.model_copy(update={"keep": resolved.limit})
        resolved = resolved.model_copy(update={"filter": own})
    report = filter_own_files(resolved, files, output, quiet=quiet or as_json)
    if as_json:
        echo_json(report.to_json())
    else:
        echo(report.summary() + f"\nSee {output}: kept.jsonl, dropped.jsonl, malformed.jsonl, filter_report.md")


def prefer(
    files: OwnFiles = None,
    output: Output = None,
    score: Annotated[
        str | None,
        typer.Option(help="The field with the scores of your own files; by default the usual one.", metavar="FIELD"),
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
    """Makes pairs of the user's scored answers, or runs the pipeline as far as prefer."""
    if not files:
        if output or score:
            option = "--output" if output else "--score"
            fix = "Write for example: sit prefer scored.jsonl -o out"
            raise UserError(f"{option} needs files with scored answers.", "", fix)
        resolved, folder = opened(profile, config, set_, limit, run_dir, new=False, until="prefer")
        run_and_print(resolved, folder, until="prefer", yes=yes, as_json=as_json, quiet=quiet)
        return
    resolved, output = _for_own_files(profile, config, set_, limit, run_dir, output)
    given = user_settings(config, set_ or ()).get("prefer") or {}
    own = {"pairs": resolved.limit or LARGEST, "min_margin": 0.0}  # a profile's are for its own data and reward model
    settings = resolved.prefer.model_copy(update={name: v for name, v in own.items() if name not in given})
    from synthetic_instruction_tuner.data_files.reading import count_rows
    from synthetic_instruction_tuner.preference.files import prefer_files
    from synthetic_instruction_tuner.run.progress import Display

    with Display(quiet=quiet or as_json) as display:
        display.say(f"Making pairs of {', '.join(map(str, files))}")
        if settings.min_margin != resolved.prefer.min_margin:
            margin = f"prefer.min_margin={resolved.prefer.min_margin:g} of profile {resolved.profile}"
            display.say(f"{margin} is for its reward model's scores and does not count; --set it for yours")
        with display.task("pairing", count_rows(files), "prompts") as advance:
            samples = resolved.report.samples
            keep = resolved.data.keep_thoughts
            report = prefer_files(
                files, output, settings, score=score, samples=samples, keep_thoughts=keep, progress=advance
            )
    if as_json:
        echo_json(json.dumps(report.to_json()))
    else:
        echo(report.summary() + f"\nSee {output}: pairs.jsonl, skipped.jsonl, malformed.jsonl, preference_report.md")


def _for_own_files(
    profile: str | None,
    config: Path | None,
    set_: list[str] | None,
    limit: int | None,
    run_dir: Path | None,
    output: Path | None,
) -> tuple[Config, Path]:
    """Returns the settings for files of the user's own, and the folder for the results."""
    if run_dir is not None:
        run_folder(None, run_dir).require_run()
    resolved = configuration(profile, config, set_, limit, run_dir)
    if output is None:
        raise UserError(
            "No output folder was given.", "Your own files need one for the results.", "Add one, for example: -o out"
        )
    return resolved, output


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
            keep_thoughts=config.data.keep_thoughts,
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
