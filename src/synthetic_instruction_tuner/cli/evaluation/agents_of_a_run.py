"""``sit agent-eval`` without a file of tasks: on a run, or on a model or adapter with the tasks of the settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.cli.options import configuration, opened
from synthetic_instruction_tuner.cli.run import run_and_print
from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import (
    agent_benchmark,
    chosen_tasks,
    lacking,
    usable,
)
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Surroundings
from synthetic_instruction_tuner.evaluation.agent_bench.results import REASONS, SOLVED, AgentResult, TaskResult
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import play
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.checks.agent_form import check_form
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.progress import Display

ADAPTER = "adapter_config.json"


def play_without_file(
    target: str,
    task: str | None,
    show: bool,
    output: Path | None,
    set_: Sequence[str] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plays the agents of a run, or a model or adapter, on the tasks of the settings.

    Args:
        target: the run's folder, nano:NAME, a model's folder or Hub id, or an adapter's folder.
        task: only this one.
        show: print the conversations, turn by turn.
        output: of a model, the folder for the results.
        set_: settings; of a run they change the run's own.
        as_json: print results as JSON.
        quiet: show no progress.

    Raises:
        UserError: there are no such tasks, or nothing to play.
    """
    folder = RunFolder(Path(target))
    if not folder.holds_run():
        _alone(target, task, show, output, set_, as_json, quiet)
    elif output is not None:
        raise UserError("A run keeps its agents' results in its own folder.", "--output is given, too", "Leave it out.")
    elif task is not None or show:
        _kept(folder, task)
    else:
        config, folder = opened(None, None, list(set_ or []), None, folder.root, new=False)
        _require_benchmarks(config)
        run_and_print(config, folder, until="agents", yes=False, as_json=as_json, quiet=quiet)


def _kept(folder: RunFolder, task: str | None) -> None:
    """Prints conversations that a run has kept."""
    files = sorted(folder.agents.glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line]
    wanted = [row for row in rows if task is None or row["task"] == task]
    if not wanted:
        there = f"they are {rows[0]['task']} to {rows[-1]['task']}" if rows else "the run has played none yet"
        fix = "Name one of them." if rows else f"Play them: sit agent-eval {shown(folder.root)}"
        raise UserError(
            f"There is no conversation of task {task}." if task else "There are no conversations.", there, fix
        )
    screen = Screen()
    for row in wanted:
        show_conversation(
            screen, f"{row['task']}, {row['student']}, {row['variant']}", TaskResult.from_json(row), row["benchmark"]
        )


def show_conversation(screen: Screen, title: str, result: TaskResult, benchmark: str) -> None:
    """Prints a conversation turn by turn, without what is the same in all of them."""
    screen.say(title, "bold")
    for message in result.messages[agent_benchmark(benchmark).form.shared :]:
        screen.say(f"[{message.role}]", "bold")
        screen.say(message.content or "(empty)")
    outcome = result.outcome
    how = "solved" if outcome.right else f"not solved: {outcome.reason}"
    screen.say(f"{result.id} {how}{f' ({outcome.note})' if outcome.note else ''}", "bold")
    screen.say()


def _require_benchmarks(config: Config) -> list[AgentBenchmark]:
    if found := usable(config):
        return found
    missing = [f"{name}: {one.missing} {one.how}" for name, one in lacking(config).items()]
    raise UserError(
        "There are no tasks to play.",
        " ".join(missing) or "agents.benchmarks is empty",
        "Name a file of tasks with --tasks, or choose: --set agents.benchmarks=[nano_db,nano_os]",
    )


def _alone(
    target: str,
    task: str | None,
    show: bool,
    output: Path | None,
    set_: Sequence[str] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    path, adapter = _model_of(target)
    config = configuration(None, None, [f"models.generator={json.dumps(path)}", *(set_ or [])], None)
    chosen = [(one, _only(chosen_tasks(one, config), task)) for one in _require_benchmarks(config)]
    chosen = [(one, tasks) for one, tasks in chosen if tasks]
    if not chosen:
        names = ", ".join(one.name for one in usable(config))
        raise UserError(
            f"There is no task {task}.", f"the tasks are those of {names}", "Name one, such as nano_db-0000."
        )
    check_form(config, [config.models.generator])
    results = _played(config, config.models.generator, adapter, chosen, quiet=quiet or as_json)
    rows = [{"benchmark": r.benchmark, "student": target} | t.to_json() for r in results for t in r.tasks]
    text = json.dumps([_numbers(target, one) for one in results], ensure_ascii=False, indent=2)
    if output is not None:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(output / "dialogues.jsonl", lines)
        write_text(output / "agent_results.json", f"{text}\n")
    if as_json:
        echo_json(text)
        return
    screen = Screen()
    for result in results if show else ():
        for one in result.tasks:
            show_conversation(screen, one.id, one, result.benchmark)
    _print(screen, target, results)


def _model_of(target: str) -> tuple[str, Path | None]:
    """Returns the model, and the adapter where the target is the folder of one."""
    folder = Path(target)
    if not (folder / ADAPTER).is_file():
        return target, None
    from synthetic_instruction_tuner.models.adapters import adapter_config

    base = adapter_config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UserError(f"The adapter {target} names no model.", f"{ADAPTER} says of which it is", "Name a model.")
    return base, folder


def _only(tasks: Sequence[Any], wanted: str | None) -> list[Any]:
    return [task for task in tasks if wanted in (None, task.id)]


def _played(
    config: Config,
    model: ModelConfig,
    adapter: Path | None,
    chosen: Sequence[tuple[AgentBenchmark, Sequence[Any]]],
    *,
    quiet: bool,
) -> list[AgentResult]:
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import agent_of

    environments = {one.name: one.environment(Surroundings.of(config)) for one, _ in chosen}
    form = config.agents.form if any(one.tools for one, _ in chosen) else "text"
    entries = [(one, task) for one, tasks in chosen for task in tasks]
    found: dict[str, list[TaskResult]] = {one.name: [] for one, _ in chosen}
    with (
        open_engine(
            model, config.engine, detect(config.engine.device), adapter, student=adapter is not None
        ) as opened_,
        Display(quiet=quiet) as display,
        display.task("playing", len(entries), "tasks") as advance,
    ):
        agent, read = agent_of(*opened_, form, config.agents.max_new_tokens)
        places = [_Numbered(str(k)) for k in range(len(entries))]

        def begin(place: _Numbered) -> Any:
            one, task = entries[int(place.id)]
            return environments[one.name].begin(task, read if one.tools else None)

        ended = {}
        for number, played in play(places, begin, agent, at_once=config.agents.at_once):
            benchmark = entries[number][0]
            environments[benchmark.name].require(benchmark.name, played.outcome)
            if played.outcome is not None:
                ended[number] = played
                advance(1)
    for number, (one, task) in enumerate(entries):
        found[one.name].append(TaskResult.of(task.id, task.group, ended[number]))
    return [AgentResult.of(one, environments[one.name].name, found[one.name]) for one, _ in chosen]


class _Numbered:
    """A place among the tasks."""

    def __init__(self, id: str) -> None:
        self.id = id


def _numbers(target: str, result: AgentResult) -> dict[str, Any]:
    summary = result.summary
    return {
        "benchmark": result.benchmark,
        "model": target,
        "environment": result.environment,
        result.headline: summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups if group.n},
        "failures": dict(summary.reasons),
        "environment_errors": summary.broken,
    }


def _print(screen: Screen, target: str, results: Sequence[AgentResult]) -> None:
    screen.say(f"{target} as an agent", "bold")
    states = [state for state in (SOLVED, *REASONS) if any(result.states[state] for result in results)]
    table = Table(
        Column("agent on", "name", key=True),
        Column("share solved", "whole", right=True),
        *(Column(state, "whole", right=True) for state in states),
    )
    for result in results:
        share = f"{result.summary.headline:.1%} ± {result.summary.error:.1%}"
        table.add(result.benchmark, share, *(f"{result.states[state]:,}" for state in states))
    screen.table(table)
