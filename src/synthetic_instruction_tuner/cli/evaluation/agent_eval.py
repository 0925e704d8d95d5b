"""``sit agent-eval``: a model works on DBBench's tasks, turn by turn, in a database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

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
from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import ROUNDS, DbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask, read_tasks, subset
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Agent, Played, play
from synthetic_instruction_tuner.evaluation.agent_bench.saved_play import SavedPlay
from synthetic_instruction_tuner.evaluation.agent_bench.summary import Summary, summarize
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.progress import Display

GROUPS = ("SELECT", "INSERT", "UPDATE")
LONGEST = 512  # tokens of a turn
DIALOGUES = "dialogues.jsonl"


def agent_eval(
    model: Annotated[str, typer.Argument(help="The model: nano:NAME, a folder or a Hub id.")],
    tasks: Annotated[
        Path, typer.Option("--tasks", "-t", help="File of DBBench tasks (AgentBench 0.2).", parser=existing_path)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the results.", parser=output_path, metavar="FOLDER"),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Play this task alone, such as db-0007.")] = None,
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
    chosen = read_tasks(tasks)
    if task is not None:
        chosen = subset(chosen, task)
    config = configuration(None, None, [f"models.generator={json.dumps(model)}", *(set_ or [])], None)
    open_database, environment = _environment(mysql)
    with ExitStack() as stack:
        saved = None
        if output is not None:
            key = _key(config, chosen, environment, max_new_tokens)
            saved = stack.enter_context(SavedPlay(output / DIALOGUES, key))
        played = _played(config, chosen, open_database, max_new_tokens, quiet=quiet or as_json, saved=saved)
    summary = summarize(GROUPS, [(t.group, p.outcome) for t, p in zip(chosen, played, strict=True) if p.outcome])
    result = json.dumps(_json(config, environment, chosen, played, summary), ensure_ascii=False, indent=2)
    if output is not None:
        write_text(output / "agent_results.json", f"{result}\n")
    if as_json:
        echo_json(result)
        return
    screen = Screen()
    if show:
        _show(screen, chosen, played)
    _print(screen, config, environment, summary)
    if output is not None:
        screen.say(f"\nEvery conversation is in {output / DIALOGUES}.")


def _key(config: Config, tasks: Sequence[DbTask], environment: str, max_new_tokens: int) -> dict[str, Any]:
    """Returns what conversations depend on."""
    return {
        "model": identity(config.models.generator),
        "tasks": hashlib.sha256(repr(tasks).encode()).hexdigest(),
        "environment": environment.partition(" ")[0],
        "max_new_tokens": max_new_tokens,
        "rounds": ROUNDS,
    }


def _environment(mysql: str | None) -> tuple[OpenDatabase, str]:
    """Returns what opens a task's database, and its name."""
    if mysql is None:
        from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase

        return EmbeddedDatabase, "SQLite that answers as MySQL"
    from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress

    address = ServerAddress.given(mysql)
    version = address.check()
    return address.database, f"{'MariaDB' if 'maria' in version.lower() else 'MySQL'} {version}"


def _played(
    config: Config,
    tasks: Sequence[DbTask],
    open_database: OpenDatabase,
    max_new_tokens: int,
    *,
    quiet: bool,
    saved: SavedPlay | None = None,
) -> list[Played]:
    """Returns all conversations; those that were played before are not played again."""
    done = {name: one for name, one in saved.played.items() if one.outcome} if saved else {}
    left = [task for task in tasks if task.id not in done]
    if left:
        with Display(quiet=quiet) as display, display.task("playing", len(tasks), "tasks", done=len(done)) as advance:

            def note(task: DbTask, one: Played) -> None:
                if saved:
                    saved.add(task.id, one)
                if one.outcome is not None:
                    done[task.id] = one
                    advance(1)

            earlier = saved.turns([task.id for task in left]) if saved else ()
            _with_agent(config, left, open_database, max_new_tokens, earlier, note)
    return [done[task.id] for task in tasks]


def _with_agent(
    config: Config,
    tasks: Sequence[DbTask],
    open_database: OpenDatabase,
    max_new_tokens: int,
    earlier: Sequence[Sequence[str]],
    note: Callable[[DbTask, Played], None],
) -> None:
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.evaluation.agent_bench.model_agent import ModelAgent

    model = config.models.generator
    with open_engine(model, config.engine, detect(config.engine.device)) as (engine, template):
        agent: Agent = ModelAgent(engine, template, max_new_tokens)
        for number, one in play(tasks, lambda task: DbConversation(task, open_database), agent, earlier):
            note(tasks[number], one)


def _json(
    config: Config, environment: str, tasks: Sequence[DbTask], played: Sequence[Played], summary: Summary
) -> dict[str, Any]:
    return {
        "benchmark": "DBBench",
        "protocol": "AgentBench 0.2, text",
        "model": config.models.generator.name,
        "environment": environment,
        "overall_cat_accuracy": summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups},
        "failures": dict(summary.reasons),
        "environment_errors": summary.broken,
        "tasks": [
            {"id": task.id, "type": task.kind, "turns": len(one.turns), **one.outcome.to_json()}
            for task, one in zip(tasks, played, strict=True)
            if one.outcome
        ],
    }


def _print(screen: Screen, config: Config, environment: str, summary: Summary) -> None:
    screen.say(f"DBBench, AgentBench's text protocol 0.2: {config.models.generator.name} in {environment}", "bold")
    table = Table(
        Column("Tasks", "name", key=True),
        Column("Solved", "whole", right=True),
        Column("Of", "whole", right=True),
        Column("Accuracy", "whole", right=True),
    )
    for group in summary.groups:
        table.add(group.name, f"{group.right:,}", f"{group.n:,}", f"{group.mean:.1%}" if group.n else "-")
    table.add("Mean of the three", "", f"{summary.n:,}", f"{summary.headline:.1%} ± {summary.error:.1%}")
    screen.table(table)
    if summary.reasons:
        screen.say("\nWhy tasks failed", "bold")
        failures = Table(Column("Reason", "name", key=True), Column("Tasks", "whole", right=True))
        for reason, count in summary.reasons.items():
            failures.add(reason, f"{count:,}")
        screen.table(failures)
    if summary.broken:
        screen.say(f"\n{summary.broken:,} tasks have no result: the environment broke twice. They count for nothing.")


def _show(screen: Screen, tasks: Sequence[DbTask], played: Sequence[Played]) -> None:
    for task, one in zip(tasks, played, strict=True):
        for message in one.messages[2:]:  # behind the instructions, which are the same for all
            screen.say(f"[{message.role}]", "bold")
            screen.say(message.content or "(empty)")
        outcome = one.outcome
        if outcome is not None:
            how = "solved" if outcome.right else f"not solved: {outcome.reason}"
            screen.say(f"{task.id} {how}{f' ({outcome.note})' if outcome.note else ''}", "bold")
            screen.say()
