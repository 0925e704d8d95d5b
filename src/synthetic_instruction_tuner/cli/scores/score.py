"""``sit score``: scores saved answers of anybody, without a model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from synthetic_instruction_tuner.cli.options import ConfigFile, Json, Profile, Set, Wide, configuration, existing_path
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.answers import ScoredFile
    from synthetic_instruction_tuner.evaluation.statistics import Estimate

Rated = Literal["bfcl", "ifeval", "mmlu", "mt_bench", "nano_ifeval", "nano_mmlu", "nano_mt"]
Scored = Literal["ifeval", "mmlu", "nano_ifeval", "nano_mmlu", "nano_mt"]
LEGEND = "SE: standard error, clustered by item. The interval holds the true value in 95 % of repetitions."
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder with the public benchmarks' files.", parser=existing_path, metavar="FOLDER"
    ),
]
Mode = Annotated[
    Literal["deterministic", "google"] | None,
    typer.Option("--mode", help="How IFEval counts symbols; google: as the published scorer does."),
]
AnswerFile = Annotated[Path, typer.Argument(help="The file with the answers.", parser=existing_path, metavar="FILE")]


def score(
    name: Annotated[Rated, typer.Argument(metavar="BENCHMARK", help="What the answers are answers to.")],
    file: AnswerFile,
    mode: Mode = None,
    data_dir: DataDir = None,
    partial: Annotated[bool, typer.Option("--partial", help="Score answers to some of the items.")] = False,
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Scores the answers of a file."""
    from synthetic_instruction_tuner.cli.scores.bfcl import score_bfcl
    from synthetic_instruction_tuner.cli.scores.rate import rate_file
    from synthetic_instruction_tuner.evaluation.answers import score_file

    settings = settings_of(profile, config, set_, data_dir, mode)
    if mode and name != "ifeval":
        raise UserError(f"--mode does not go with {name}.", "It is about a rule of IFEval.", "Leave it out.")
    if not file.exists():
        raise UserError(f"There is no {file}.", "", "Name a file of answers.")
    Screen(stderr=True).say(f"Scoring {file}", style="dim")
    if name == "bfcl":
        score_bfcl(file, settings, partial, as_json)
        return
    if name == "mt_bench":
        scored = rate_file(file, settings, partial=partial, quiet=as_json)
    else:
        scored = score_file(name, file, settings.evaluate, partial=partial)
    if as_json:
        echo_json(json.dumps(_as_json(scored)))
    else:
        print_scores(scored, wide=wide)


def settings_of(
    profile: str | None, config: Path | None, set_: list[str] | None, data_dir: Path | None, mode: str | None
) -> Config:
    """Returns the settings that the options describe."""
    more = [f"evaluate.data_dir={json.dumps(str(data_dir.absolute()))}"] if data_dir else []
    more += [f"evaluate.ifeval.mode={mode}"] if mode else []
    return configuration(profile, config, [*(set_ or ()), *more], None)


def print_scores(scored: ScoredFile, wide: bool = False) -> None:
    """Prints the scores of a file, and the benchmark's tables by kind of item."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark

    screen, result = Screen(wide=wide), scored.result
    known = benchmark(scored.benchmark)
    screen.say(f"{result.benchmark}: {len(result.items):,} answers of {scored.file}", style="bold")
    table = _table("metric")
    for metric in result.metrics:
        table.add(metric, *_cells(result.estimate(metric)), known.metric(metric).title)
    screen.table(table)
    for line in _remarks(scored):
        screen.say(line)
    for found in known.breakdowns(result) if known.breakdowns else ():
        if found.rows:
            screen.say(f"\n{found.title}", style="bold")
            rows = _table("", meaning=False)
            for label, value in found.rows:
                rows.add(label, *_cells(value))
            screen.table(rows)
    screen.say(f"\n{LEGEND}", style="dim")


def _table(heading: str, meaning: bool = True) -> Table:
    numbers = (Column(name, "whole", right=True) for name in ("score", "SE", "95 % interval", "n"))
    return Table(Column(heading, "name", key=True), *numbers, *([Column("what it is")] if meaning else []))


def _cells(found: Estimate) -> tuple[str, str, str, str]:
    n = f"{found.n:,}"
    if math.isnan(found.standard_error):
        return f"{found.value:.4f}", "n/a", "n/a", n
    return f"{found.value:.4f}", f"{found.standard_error:.4f}", f"{found.low:.4f} to {found.high:.4f}", n


def _remarks(scored: ScoredFile) -> list[str]:
    """What else there is to say about the answers."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark

    result, lines = scored.result, []
    if scored.missing:
        lines.append(f"{scored.missing:,} items have no answer in the file and do not count.")
    rated = scored.benchmark == "mt_bench"
    if result.n_empty:
        how = "the judge rated them too" if rated else "they count as wrong"
        lines.append(f"{result.n_empty:,} answers are empty; {how}.")
    if result.n_unparsed and rated:
        lines.append(f"{result.n_unparsed:,} ratings could not be read; they count as 1.")
    elif result.n_unparsed:
        lines.append(f"{result.n_unparsed:,} answers name no option, or several; they count as wrong.")
    if lower := [metric for metric in result.metrics if benchmark(scored.benchmark).metric(metric).better == "lower"]:
        lines.append(f"Lower is better: {', '.join(lower)}.")
    return lines


def _as_json(scored: ScoredFile) -> dict[str, Any]:
    from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark

    result, known = scored.result, benchmark(scored.benchmark)
    tables = known.breakdowns(result) if known.breakdowns else ()
    return {
        "benchmark": result.benchmark,
        "file": str(scored.file),
        "items": len(result.items),
        "missing": scored.missing,
        "n_empty": result.n_empty,
        "n_unparsed": result.n_unparsed,
        "scores": [
            {"metric": metric, "headline": metric == result.headline} | _numbers(result.estimate(metric))
            for metric in result.metrics
        ],
        "tables": {t.name: [{"label": label} | _numbers(value) for label, value in t.rows] for t in tables},
    }


def _numbers(found: Estimate) -> dict[str, float | int | None]:
    numbers = {
        "value": found.value,
        "standard_error": found.standard_error,
        "ci_low": found.low,
        "ci_high": found.high,
        "n": found.n,
        "clusters": found.clusters,
    }
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}
