"""``sit benchmarks``: which public benchmarks this machine has, what is missing, and how to get it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from synthetic_instruction_tuner.cli.options import Json
from synthetic_instruction_tuner.config import PUBLIC_BENCHMARKS, EvaluateConfig
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json


def benchmarks(
    action: Annotated[
        Literal["list", "fetch"], typer.Argument(help="list: show them; fetch: download what is missing, once.")
    ] = "list",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a subfolder per benchmark, and nltk_punkt_tab; a run's setting is evaluate.data_dir.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Lists the public benchmarks, or downloads them."""
    from synthetic_instruction_tuner.evaluation.benchmarks import at_hand

    config = EvaluateConfig(benchmarks=PUBLIC_BENCHMARKS, data_dir=None if data_dir is None else str(data_dir))
    at_hand.require_folder(config)
    screen = Screen()
    problems = at_hand.fetch(config, (lambda text: None) if as_json else screen.say) if action == "fetch" else []
    rows = [_row(name, config) for name in PUBLIC_BENCHMARKS]
    if as_json:
        echo_json(json.dumps({"benchmarks": rows, "problems": problems}))
    else:
        _print(screen, rows)
    if problems:
        raise RunError(
            f"Not everything could be downloaded: {'; '.join(problems)}.",
            "this machine has no way to the server, or the server is away",
            "Copy the files from another machine, and name their folder with --data-dir or evaluate.data_dir.",
        )


def _row(name: str, config: EvaluateConfig) -> dict[str, Any]:
    """Returns what is known of a benchmark, as plain JSON values."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
    from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED, nothing

    published, at_hand = PUBLISHED[name], benchmark(name).at_hand
    try:
        found = at_hand(config.settings(name)) if at_hand else nothing(name)
        missing, how = found.missing, found.how
        items, origin, digest = found.items, found.origin, found.digest
    except UserError as error:
        items, origin, digest, missing, how = 0, "", "", f"{error.problem} {error.cause}", error.fix
    known = "the hash is that of the published items"
    if digest != published.digest:
        known = "the items differ from the published ones" if published.digest else ""
    return {
        "name": name,
        "items": items,
        "of": config.settings(name).items,
        "from": origin,
        "hash": digest,
        "check": known if digest else "",
        "license": published.license,
        "hub": published.repository,
        "revision": published.revision,
        "missing": missing,
        "how": how,
    }


def _print(screen: Screen, rows: list[dict[str, Any]]) -> None:
    names = ("items", "of", "from", "hash", "license")
    table = Table(Column("benchmark", key=True), *(Column(n, "whole", right=n in ("items", "of")) for n in names))
    for row in rows:
        counts = f"{row['items']:,}", f"{row['of']:,}"
        table.add(row["name"], *counts, *(row[name] or "-" for name in names[2:]))
    screen.table(table)
    screen.say()
    for row in rows:
        if row["check"]:
            screen.say(f"{row['name']}: {row['check']}.")
        if row["missing"]:
            screen.say(f"{row['name']}: {row['missing']} {row['how']}")
