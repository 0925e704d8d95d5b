"""``sit score bfcl``: calls that anybody has saved are matched with BFCL's right answers, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark
from synthetic_instruction_tuner.evaluation.agent_bench.at_hand import bfcl_at_hand, bfcl_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark
from synthetic_instruction_tuner.evaluation.agent_bench.bfcl.saved_answers import read_answers, score_answers
from synthetic_instruction_tuner.evaluation.agent_bench.results import AgentResult, agent_rows
from synthetic_instruction_tuner.evaluation.agent_bench.task import AgentTask
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json

SHOWN = 3  # tasks that a message names


def score_bfcl(file: Path, config: Config, partial: bool, as_json: bool) -> None:
    """Scores the answers of a file, or of a folder of files, and prints what came out.

    Categories to which there is no answer are left out, and so are a folder's files of other categories.

    Args:
        file: BFCL's own results, or rows with an id and a text or calls.
        config: names the folder with BFCL's files.
        partial: whether answers to some of a category's tasks are enough.
        as_json: print one JSON object.

    Raises:
        UserError: BFCL's files are not there, or the file holds no answers to them.
    """
    known = {task.id: task for task in bfcl_tasks(config)}
    if not known:
        had = bfcl_at_hand(config)
        raise UserError("The tasks of BFCL are not on this machine.", had.missing, f"{had.how} Or give --data-dir.")
    saved = read_answers(file)
    answers = saved.by_task
    if strange := next((name for name in answers if name not in known), None):
        raise UserError(
            f"{file} answers a task that BFCL's files do not have: {strange[:60]}.",
            f"they have {len(known):,} tasks, such as {next(iter(known))}",
            "Name the folder with the files of the same version and categories.",
        )
    groups = {known[name].group for name in answers}
    asked = [task for task in known.values() if task.group in groups]
    missing = [task.id for task in asked if task.id not in answers]
    if missing and not partial:
        raise UserError(
            f"{file} lacks {len(missing):,} of the {len(asked):,} answers to its categories.",
            f"There is none to {_some(missing)}.",
            "Add them, or score the answers that are there with --partial.",
        )
    result = AgentResult.of(_of(groups), "none", score_answers(asked, answers))
    rows = agent_rows({(file.name, ""): [result]})
    if as_json:
        echo_json(json.dumps(_as_json(file, result, rows, len(missing)) | {"skipped": list(map(str, saved.skipped))}))
        return
    _print(file, result, rows, len(missing), _left_out(known.values(), groups))
    if saved.skipped:
        names = _some([one.name for one in saved.skipped])
        Screen().say(f"Files without an answer to a single-turn category are skipped: {names}.")


def _of(groups: set[str]) -> AgentBenchmark:
    benchmark = agent_benchmark("bfcl")
    return replace(benchmark, groups=tuple(name for name in benchmark.groups if name in groups))


def _left_out(tasks: Iterable[AgentTask], groups: set[str]) -> Sequence[str]:
    return list(dict.fromkeys(task.group for task in tasks if task.group not in groups))


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} others" if more > 0 else "")


def _print(
    file: Path, result: AgentResult, rows: Sequence[ComparisonRow], missing: int, left_out: Sequence[str]
) -> None:
    screen, known = Screen(), agent_benchmark(result.benchmark)
    screen.say(f"{known.label}: {len(result.tasks):,} answers of {file}", style="bold")
    numbers = (Column(name, "whole", right=True) for name in ("score", "SE", "95 % interval", "n"))
    table = Table(Column("metric", "name", key=True), *numbers)
    for row in rows:
        value = (f"{row.value:.4f}", f"{row.standard_error:.4f}", f"{row.ci_low:.4f} to {row.ci_high:.4f}")
        table.add(row.metric, *value, f"{row.n:,}")
    screen.table(table)
    reasons = [(task.id, task.outcome.note) for task in result.tasks if not task.outcome.right]
    if reasons:
        screen.say(f"\n{_tasks(len(reasons), 'is', 'are')} not solved, such as:")
        for name, note in reasons[:SHOWN]:
            screen.say(f"  {name}: {note}")
    if missing:
        screen.say(f"{_tasks(missing, 'without an answer does', 'without an answer do')} not count.")
    if left_out:
        screen.say(f"Categories without an answer are left out: {', '.join(left_out)}.")


def _tasks(count: int, one: str, several: str) -> str:
    return f"1 task {one}" if count == 1 else f"{count:,} tasks {several}"


def _as_json(file: Path, result: AgentResult, rows: Sequence[ComparisonRow], missing: int) -> dict[str, Any]:
    return {
        "benchmark": result.benchmark,
        "file": str(file),
        "items": len(result.tasks),
        "missing": missing,
        "scores": [
            {
                "metric": row.metric,
                "headline": row.headline,
                "value": row.value,
                "standard_error": row.standard_error,
                "ci_low": row.ci_low,
                "ci_high": row.ci_high,
                "n": row.n,
            }
            for row in rows
        ],
        "tasks": [
            {"id": task.id, "right": task.outcome.right, **({"why": task.outcome.note} if task.outcome.note else {})}
            for task in result.tasks
        ],
    }
