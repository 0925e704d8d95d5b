"""``sit judge-check``: whether a judge can be believed, before anybody believes its numbers."""

from __future__ import annotations

import json
from pathlib import Path
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
    configuration,
    output_path,
    run_folder,
    whole_number,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge_check import PROBED, JudgeCheck
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json


def judge_check(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    judge: Annotated[
        str | None, typer.Option(help="The judge, in place of evaluate.mt_bench.judge.model.", metavar="MODEL")
    ] = None,
    url: Annotated[str | None, typer.Option(help="The judge's OpenAI-compatible server.", metavar="URL")] = None,
    probed: Annotated[
        int,
        typer.Option(
            "--probed", help="Questions that are probed.", parser=whole_number("--probed", 1, 80), metavar="NUMBER"
        ),
    ] = PROBED,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the judge's replies and the result.",
            parser=output_path,
            metavar="FOLDER",
        ),
    ] = Path("judge-check"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Checks a judge."""
    from synthetic_instruction_tuner.run.judge_checking import check_judge_of, keep_with_run
    from synthetic_instruction_tuner.run.progress import Display

    named = [f"evaluate.mt_bench.judge.model.path={judge}"] if judge else []
    named += [f"evaluate.mt_bench.judge.model.url={url}"] if url else []
    chosen = configuration(profile, config, [*(set_ or []), *named], limit, run_dir)
    with Display(quiet=quiet or as_json) as display:
        found = check_judge_of(chosen, output, probed, display)
    folder = run_folder(None, run_dir) if run_dir is not None else None
    kept = keep_with_run(folder, found) if folder is not None and folder.holds_run() else False
    if as_json:
        echo_json(json.dumps(found.to_json()))
        return
    screen = Screen()
    print_check(found, screen)
    screen.say(f"\nSee {output}: judge_check.json, replies.jsonl")
    if kept:
        screen.say("The run's next report shows the verdict: sit run --from report")


def print_check(found: JudgeCheck, screen: Screen) -> None:
    """Prints what is known of a judge."""
    screen.say(f"\nJudge {found.judge}", style="bold")
    if found.models:
        table = Table(Column("published answers, best first", "name", key=True), Column("mean rating", "whole"))
        for name, mean, error in found.models:
            table.add(name, f"{mean:.2f}±{error:.2f}")
        screen.table(table)
    for title, one in (("Spearman's rho", found.spearman), ("Kendall's tau", found.kendall)):
        if one is not None:
            screen.say(f"{title} with the known order: {one.value:.2f} (95 % interval {one.low:.2f} to {one.high:.2f})")
    if found.unreadable:
        screen.say(f"{found.unreadable:,} of {found.replies:,} ratings could not be read and count as 1.")
    screen.say()
    table = Table(
        Column("probe", "text", key=True),
        Column("grading", "whole"),
        Column("right", "whole", right=True),
        Column("95 % interval", "whole"),
        Column("unreadable", "whole", right=True),
        Column("", "whole"),
    )
    for probe in found.probes:
        interval = f"{probe.low:.0%} to {probe.high:.0%}"
        passed = "passed" if probe.passed else "FAILED"
        table.add(probe.title, probe.grading, f"{probe.right} of {probe.n}", interval, str(probe.unreadable), passed)
    screen.table(table)
    screen.say(f"\n{found.verdict()}", style="bold")
