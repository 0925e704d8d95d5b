"""``sit agent-eval``: a model works on DBBench's tasks, turn by turn, in a database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import Benchmark, Chosen, Form, choose, only
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
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Agent, Played, play
from synthetic_instruction_tuner.evaluation.agent_bench.saved_play import SavedPlay
from synthetic_instruction_tuner.evaluation.agent_bench.summary import Summary, summarize
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.progress import Display

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.tools.template import ToolTemplate

LONGEST = 512  # tokens of a turn
DIALOGUES = "dialogues.jsonl"


def agent_eval(
    model: Annotated[str, typer.Argument(help="The model: nano:NAME, a folder or a Hub id.")],
    tasks: Annotated[
        list[Path],
        typer.Option(
            "--tasks",
            "-t",
            help="File of DBBench tasks (AgentBench 0.2), or files or a folder of BFCL; may be given several times.",
            parser=existing_path,
            metavar="FILE",
        ),
    ],
    benchmark: Annotated[Benchmark, typer.Option("--benchmark", help="What the tasks are.")] = "dbbench",
    form: Annotated[
        Form,
        typer.Option(
            "--form", help="How the model acts: auto takes tools where its chat template has them, and text elsewhere."
        ),
    ] = "auto",
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
    chosen = choose(benchmark, tasks, mysql)
    config = configuration(None, None, [f"models.generator={json.dumps(model)}", *(set_ or [])], None)
    way = None if form == "text" else _tools(config, optional=form == "auto")
    if way is not None:
        chosen = chosen.by_tools()
    if task is not None:
        chosen = replace(chosen, tasks=only(chosen, task))
    with ExitStack() as stack:
        saved = None
        if output is not None:
            saved = stack.enter_context(SavedPlay(output / DIALOGUES, _key(config, chosen, way, max_new_tokens)))
        played = _played(config, chosen, way, max_new_tokens, quiet=quiet or as_json, saved=saved)
    pairs = zip(chosen.tasks, played, strict=True)
    summary = summarize(chosen.groups, [(one.group, p.outcome) for one, p in pairs if p.outcome])
    result = json.dumps(_json(config, chosen, played, summary), ensure_ascii=False, indent=2)
    if output is not None:
        write_text(output / "agent_results.json", f"{result}\n")
    if as_json:
        echo_json(result)
        return
    screen = Screen()
    if show:
        _show(screen, chosen, played)
    _print(screen, config, chosen, played, summary)
    if output is not None:
        screen.say(f"\nEvery conversation is in {output / DIALOGUES}.")


def _tools(config: Config, *, optional: bool) -> ToolTemplate | None:
    """Returns the way in which the model's chat template has tools; None where it has none, if that may be.

    Raises:
        UserError: it has none, and must have them.
    """
    # Imported here: a mistake on the command line is reported before transformers is loaded.
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.chat.tools.template import NoTools, ToolTemplate
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    try:
        return ToolTemplate(ChatTemplate.from_tokenizer(load_tokenizer(config.models.generator)))
    except NoTools:
        if not optional:
            raise
        return None


def _key(config: Config, chosen: Chosen, way: ToolTemplate | None, max_new_tokens: int) -> dict[str, Any]:
    """Returns what conversations depend on."""
    return {
        "model": identity(config.models.generator),
        "tasks": chosen.digest,
        "environment": chosen.environment.partition(" ")[0],
        "max_new_tokens": max_new_tokens,
        **chosen.limits,
        **({"form": "tools"} if way else {}),
    }


def _played(
    config: Config,
    chosen: Chosen,
    way: ToolTemplate | None,
    max_new_tokens: int,
    *,
    quiet: bool,
    saved: SavedPlay | None = None,
) -> list[Played]:
    """Returns all conversations; those that were played before are not played again."""
    tasks = chosen.tasks
    done = {name: one for name, one in saved.played.items() if one.outcome} if saved else {}
    left = [task for task in tasks if task.id not in done]
    if left:
        with Display(quiet=quiet) as display, display.task("playing", len(tasks), "tasks", done=len(done)) as advance:

            def note(task: Any, one: Played) -> None:
                if saved:
                    saved.add(task.id, one)
                if one.outcome is not None:
                    done[task.id] = one
                    advance(1)

            earlier = saved.turns([task.id for task in left]) if saved else ()
            _with_agent(config, replace(chosen, tasks=left), way, max_new_tokens, earlier, note)
    return [done[task.id] for task in tasks]


def _with_agent(
    config: Config,
    chosen: Chosen,
    way: ToolTemplate | None,
    max_new_tokens: int,
    earlier: Sequence[Sequence[str]],
    note: Callable[[Any, Played], None],
) -> None:
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.evaluation.agent_bench.model_agent import ModelAgent
    from synthetic_instruction_tuner.evaluation.agent_bench.tool_agent import ToolAgent

    model = config.models.generator
    with open_engine(model, config.engine, detect(config.engine.device)) as (engine, template):
        agent: Agent = ModelAgent(engine, template, max_new_tokens)
        if way is not None:
            agent = ToolAgent(engine, template, way, max_new_tokens)
        for number, one in play(chosen.tasks, lambda task: chosen.begin(task, way), agent, earlier):
            note(chosen.tasks[number], one)


def _json(config: Config, chosen: Chosen, played: Sequence[Played], summary: Summary) -> dict[str, Any]:
    outcomes = [one.outcome for one in played if one.outcome]
    return {
        "benchmark": chosen.name,
        "protocol": chosen.protocol,
        "model": config.models.generator.name,
        "environment": chosen.environment,
        chosen.metric: summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups},
        "failures": dict(summary.reasons),
        "invalid_calls": sum(outcome.invalid_calls for outcome in outcomes),
        "environment_errors": summary.broken,
        "tasks": [
            {"id": task.id, "type": _kind(task), "turns": len(one.turns), **one.outcome.to_json()}
            for task, one in zip(chosen.tasks, played, strict=True)
            if one.outcome
        ],
    }


def _kind(task: Any) -> str:
    return str(getattr(task, "kind", task.group))


def _print(screen: Screen, config: Config, chosen: Chosen, played: Sequence[Played], summary: Summary) -> None:
    screen.say(f"{chosen.name} ({chosen.protocol}): {config.models.generator.name} in {chosen.environment}", "bold")
    table = Table(
        Column("Tasks", "name", key=True),
        Column("Solved", "whole", right=True),
        Column("Of", "whole", right=True),
        Column("Accuracy", "whole", right=True),
    )
    for group in summary.groups:
        table.add(group.name, f"{group.right:,}", f"{group.n:,}", f"{group.mean:.1%}" if group.n else "-")
    table.add(chosen.mean, "", f"{summary.n:,}", f"{summary.headline:.1%} ± {summary.error:.1%}")
    screen.table(table)
    if summary.reasons:
        screen.say("\nWhy tasks failed", "bold")
        failures = Table(Column("Reason", "name", key=True), Column("Tasks", "whole", right=True))
        for reason, count in summary.reasons.items():
            failures.add(reason, f"{count:,}")
        screen.table(failures)
    if invalid := sum(one.outcome.invalid_calls for one in played if one.outcome):
        screen.say(f"\nInvalid calls and turns without a call: {invalid:,}")
    if summary.broken:
        screen.say(f"\n{summary.broken:,} tasks have no result: the environment broke twice. They count for nothing.")


def _show(screen: Screen, chosen: Chosen, played: Sequence[Played]) -> None:
    for task, one in zip(chosen.tasks, played, strict=True):
        for message in one.messages[chosen.common :]:  # behind the instructions, which are the same for all
            screen.say(f"[{message.role}]", "bold")
            screen.say(message.content or "(empty)")
        outcome = one.outcome
        if outcome is not None:
            how = "solved" if outcome.right else f"not solved: {outcome.reason}"
            screen.say(f"{task.id} {how}{f' ({outcome.note})' if outcome.note else ''}", "bold")
            screen.say()
