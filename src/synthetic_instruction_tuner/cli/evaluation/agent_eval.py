"""``sit agent-eval``: a model works on AgentBench's tasks, turn by turn, in a database or on a machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import KINDS, Options, opened
from synthetic_instruction_tuner.cli.evaluation.agents_of_a_run import play_without_file
from synthetic_instruction_tuner.cli.options import (
    Json,
    Quiet,
    Set,
    configuration,
    existing_path,
    output_path,
    whole_number,
)
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import PROTOCOL, Benchmark, BenchmarkTask
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Agent, Played, play
from synthetic_instruction_tuner.evaluation.agent_bench.saved_play import SavedPlay
from synthetic_instruction_tuner.evaluation.agent_bench.summary import Summary, summarize
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.progress import Display

SANDBOXES = ("docker", "podman", "bubblewrap", "namespaces")
LONGEST = 512  # tokens of a turn
SETTINGS = ("mysql", "sandbox", "root", "max_new_tokens")  # options that are settings of stage agents, too
DIALOGUES = "dialogues.jsonl"


def _one_of(option: str, words: Sequence[str]) -> Callable[[object], str]:
    """Returns what reads an option that takes one of these words."""

    def parse(text: object) -> str:
        if str(text) and str(text) not in words:
            raise UserError(
                f"{option} {text} is not possible.", f"it is one of {', '.join(words)}", "Name one of them."
            )
        return str(text)

    return parse


def agent_eval(
    model: Annotated[
        str,
        typer.Argument(
            help="The model: nano:NAME, a folder or a Hub id; without --tasks also a run's folder, whose variants play "
            "its tasks, or an adapter's folder."
        ),
    ],
    tasks: Annotated[
        Path | None,
        typer.Option(
            "--tasks",
            "-t",
            help="File of AgentBench 0.2's tasks: DBBench or OS interaction; of the latter also a folder of files.",
            parser=existing_path,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the results.", parser=output_path, metavar="FOLDER"),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="Play this task alone, such as db-0007 or os-dev-0003.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the conversations, turn by turn.")] = False,
    mysql: Annotated[
        str | None,
        typer.Option(
            "--mysql",
            help="Environment variable with the address of a MySQL or MariaDB server to use instead of SQLite: "
            "mysql://USER:PASSWORD@HOST:PORT, or mysql://USER@/?unix_socket=PATH.",
            metavar="VARIABLE",
        ),
    ] = None,
    agentbench: Annotated[
        Path | None,
        typer.Option(
            "--agentbench",
            help="Checkout of AgentBench, with the scripts that OS tasks need.",
            parser=existing_path,
            metavar="FOLDER",
        ),
    ] = None,
    sandbox: Annotated[
        str,
        typer.Option(
            "--sandbox",
            help="Where OS tasks run: docker, podman, bubblewrap or namespaces; by default the first that works.",
            parser=_one_of("--sandbox", SANDBOXES),
            metavar="KIND",
        ),
    ] = "",
    root: Annotated[
        str,
        typer.Option(
            "--root",
            help="Files of the machine of OS tasks: debian (made once by mmdebstrap), host (this machine's programs "
            "alone), a folder, a tar archive, or image:NAME for docker and podman.",
            metavar="FILES",
        ),
    ] = "",
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            help="What the tasks are: db or os; by default what they look like.",
            parser=_one_of("--benchmark", KINDS),
            metavar="KIND",
        ),
    ] = "",
    max_new_tokens: Annotated[
        int,
        typer.Option(
            "--max-new-tokens",
            help="Tokens of a turn.",
            parser=whole_number("--max-new-tokens", 1, 100_000),
            metavar="NUMBER",
        ),
    ] = LONGEST,
    set_: Set = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plays the tasks and prints what came out."""
    if tasks is None:
        _require_no_other(
            {
                "--mysql": mysql,
                "--agentbench": agentbench,
                "--sandbox": sandbox,
                "--root": root,
                "--benchmark": benchmark,
                "--max-new-tokens": max_new_tokens != LONGEST,
            }
        )
        play_without_file(model, task, show, output, set_, as_json, quiet)
        return
    config = configuration(None, None, [f"models.generator={json.dumps(model)}", *(set_ or [])], None)
    options = Options(benchmark, task, mysql, agentbench, sandbox, root)
    chosen = opened(tasks, options, lambda text: None if quiet or as_json else Screen(stderr=True).say(text))
    with ExitStack() as stack:
        saved = None
        if output is not None:
            saved = stack.enter_context(SavedPlay(output / DIALOGUES, _key(config, chosen, max_new_tokens)))
        played = _played(config, chosen, max_new_tokens, quiet=quiet or as_json, saved=saved)
    pairs = zip(chosen.tasks, played, strict=True)
    summary = summarize(chosen.groups, [(t.group, p.outcome) for t, p in pairs if p.outcome])
    result = json.dumps(_json(config, chosen, played, summary), ensure_ascii=False, indent=2)
    if output is not None:
        write_text(output / "agent_results.json", f"{result}\n")
    if as_json:
        echo_json(result)
        return
    screen = Screen()
    if show:
        _show(screen, chosen, played)
    _print(screen, config, chosen, summary)
    if output is not None:
        screen.say(f"\nEvery conversation is in {output / DIALOGUES}.")


def _require_no_other(given: Mapping[str, object]) -> None:
    """Refuses options that say how a file of tasks is played, where there is none."""
    if names := [name for name, value in given.items() if value]:
        setting = names[0].removeprefix("--").replace("-", "_")
        fix = f"Add --tasks, or set it: --set agents.{setting}=..." if setting in SETTINGS else "Add --tasks."
        raise UserError(f"{names[0]} goes with --tasks.", "Without a file the settings of agents hold.", fix)


def _key(config: Config, chosen: Benchmark, max_new_tokens: int) -> dict[str, Any]:
    """Returns what conversations depend on."""
    return {
        "model": identity(config.models.generator),
        "tasks": hashlib.sha256(repr(chosen.tasks).encode()).hexdigest(),
        "environment": chosen.key,
        "max_new_tokens": max_new_tokens,
        "rounds": chosen.rounds,
    }


def _played(
    config: Config, chosen: Benchmark, max_new_tokens: int, *, quiet: bool, saved: SavedPlay | None = None
) -> list[Played]:
    """Returns all conversations; those that were played before are not played again."""
    done = {name: one for name, one in saved.played.items() if one.outcome} if saved else {}
    left = [task for task in chosen.tasks if task.id not in done]
    if left:
        with (
            Display(quiet=quiet) as display,
            display.task("playing", len(chosen.tasks), "tasks", done=len(done)) as advance,
        ):

            def note(task: BenchmarkTask, one: Played) -> None:
                if saved:
                    saved.add(task.id, one)
                if one.outcome is not None:
                    done[task.id] = one
                    advance(1)

            earlier = saved.turns([task.id for task in left]) if saved else ()
            _with_agent(config, left, chosen, max_new_tokens, earlier, note)
    return [done[task.id] for task in chosen.tasks]


def _with_agent(
    config: Config,
    tasks: Sequence[BenchmarkTask],
    chosen: Benchmark,
    max_new_tokens: int,
    earlier: Sequence[Sequence[str]],
    note: Callable[[BenchmarkTask, Played], None],
) -> None:
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.evaluation.agent_bench.model_agent import ModelAgent

    model = config.models.generator
    with open_engine(model, config.engine, detect(config.engine.device)) as (engine, template):
        agent: Agent = ModelAgent(engine, template, max_new_tokens)
        for number, one in play(tasks, chosen.begin, agent, earlier):
            note(tasks[number], one)


def _json(config: Config, chosen: Benchmark, played: Sequence[Played], summary: Summary) -> dict[str, Any]:
    return {
        "benchmark": chosen.name,
        "protocol": PROTOCOL,
        "model": config.models.generator.name,
        "environment": chosen.environment,
        chosen.metric: summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups},
        "failures": dict(summary.reasons),
        "environment_errors": summary.broken,
        **({"left_out": list(chosen.left_out)} if chosen.left_out else {}),
        "tasks": [
            {"id": task.id, "type": task.kind, "turns": len(one.turns), **one.outcome.to_json()}
            for task, one in zip(chosen.tasks, played, strict=True)
            if one.outcome
        ],
    }


def _print(screen: Screen, config: Config, chosen: Benchmark, summary: Summary) -> None:
    screen.say(f"{chosen.name}, AgentBench's text protocol 0.2: {config.models.generator.name}", "bold")
    screen.say(f"Environment: {chosen.environment}")
    table = Table(
        Column("Tasks", "name", key=True),
        Column("Solved", "whole", right=True),
        Column("Of", "whole", right=True),
        Column("Accuracy", "whole", right=True),
    )
    whole = f"{summary.headline:.1%} ± {summary.error:.1%}"
    for group in summary.groups:
        share = f"{group.mean:.1%}" if chosen.headline else whole
        table.add(group.name, f"{group.right:,}", f"{group.n:,}", share if group.n else "-")
    if chosen.headline:
        table.add(chosen.headline, "", f"{summary.n:,}", whole)
    screen.table(table)
    if summary.reasons:
        screen.say("\nWhy tasks failed", "bold")
        failures = Table(Column("Reason", "name", key=True), Column("Tasks", "whole", right=True))
        for reason, count in summary.reasons.items():
            failures.add(reason, f"{count:,}")
        screen.table(failures)
    if chosen.left_out:
        screen.say(f"\n{len(chosen.left_out):,} tasks are left out: their scripts are not there. Give --agentbench.")
    if summary.broken:
        screen.say(f"\n{summary.broken:,} tasks have no result: the environment broke twice. They count for nothing.")


def _show(screen: Screen, chosen: Benchmark, played: Sequence[Played]) -> None:
    for task, one in zip(chosen.tasks, played, strict=True):
        for message in one.messages[chosen.shared :]:  # behind the instructions, which are the same for all
            screen.say(f"[{message.role}]", "bold")
            screen.say(message.content or "(empty)")
        outcome = one.outcome
        if outcome is not None:
            how = "solved" if outcome.right else f"not solved: {outcome.reason}"
            screen.say(f"{task.id} {how}{f' ({outcome.note})' if outcome.note else ''}", "bold")
            screen.say()
