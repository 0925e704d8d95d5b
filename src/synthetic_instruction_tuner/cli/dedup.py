"""``sit dedup``: the user's files without near duplicates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from synthetic_instruction_tuner.cli.options import Json, Quiet, output_path, share
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json


def dedup(
    files: Annotated[
        list[Path], typer.Argument(help="Your own JSON, JSONL, CSV, TSV or Parquet files, or hf:NAME[:SPLIT].")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", parser=output_path, metavar="FOLDER")
    ],
    threshold: Annotated[
        float,
        typer.Option(
            help="Drop records whose word-set Jaccard similarity to a kept one is at least this; above 0, at most 1.",
            parser=share("--threshold"),
            metavar="NUMBER",
        ),
    ] = 0.8,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A file whose records count as already kept; they are not written out. Repeatable."),
    ] = None,
    field: Annotated[
        Literal["instruction", "response", "both"],
        typer.Option(help="What is compared: instruction, response or both."),
    ] = "instruction",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write into a folder that holds other files; files of the same names are replaced."
        ),
    ] = False,
    neighbors: Annotated[
        bool,
        typer.Option(
            "--neighbors", help="Add to each kept row its distance from its nearest neighbor; slow above 20,000 rows."
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Removes near duplicates."""
    from synthetic_instruction_tuner.data_files.reading import count_rows
    from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files
    from synthetic_instruction_tuner.run.progress import Display

    with Display(quiet=quiet or as_json) as display:
        display.say(f"Comparing {', '.join(map(str, files))}")
        rows = count_rows([*(against or ()), *files]) * (2 if neighbors else 1)
        with display.task("comparing", rows, "rows") as advance:
            report = dedup_files(files, output, threshold, against or (), field, force, neighbors, advance)
    if as_json:
        echo_json(report.to_json())
    else:
        screen = Screen()
        screen.say(report.summary())
        screen.say(f"See {output}: kept.jsonl, dropped.jsonl, malformed.jsonl, dedup_report.json")
