"""``sit agent-eval``: a model works on AgentBench's tasks, turn by turn, in a database or on a machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import Options, TaskSet, opened
from synthetic_instruction_tuner.cli.evaluation.agent_options import (
    Checkout,
    Form,
    Kind,
    Model,
    Mysql,
    OneTask,
    Results,
    RootFiles,
    SandboxKind,
    Show,
    Tasks,
    TurnTokens,
)
from synthetic_instruction_tuner.cli.evaluation.agent_results import as_document, print_results
from synthetic_instruction_tuner.cli.evaluation.agent_results import show as show_all
from synthetic_instruction_tuner.cli.evaluation.agents_of_a_run import play_without_file
from synthetic_instruction_tuner.cli.options import (
    Json,
    Quiet,
    Set,
    configuration,
)
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, play
from synthetic_instruction_tuner.evaluation.agent_bench.saved_play import SavedPlay
from synthetic_instruction_tuner.evaluation.agent_bench.summary import summarize
from synthetic_instruction_tuner.evaluation.agent_bench.task import AgentTask
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.progress import Display

LONGEST = 512  # tokens of a turn
SETTINGS = ("mysql", "sandbox", "root", "form", "max_new_tokens")  # options that are settings of stage agents, too
DIALOGUES = "dialogues.jsonl"


def agent_eval(
    model: Model,
    tasks: Tasks = None,
    output: Results = None,
    task: OneTask = None,
    show: Show = False,
    mysql: Mysql = None,
    agentbench: Checkout = None,
    sandbox: SandboxKind = "",
    root: RootFiles = "",
    benchmark: Kind = "",
    form: Form = "auto",
    max_new_tokens: TurnTokens = LONGEST,
    set_: Set = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Plays the tasks and prints what came out."""
    if not tasks:
        _require_no_other(
            {
                "--mysql": mysql,
                "--agentbench": agentbench,
                "--sandbox": sandbox,
                "--root": root,
                "--benchmark": benchmark,
                "--form": form != "auto",
                "--max-new-tokens": max_new_tokens != LONGEST,
            }
        )
        play_without_file(model, task, show, output, set_, as_json, quiet)
        return
    config = configuration(None, None, [f"models.generator={json.dumps(model)}", *(set_ or [])], None)
    options = Options(benchmark, task, mysql, agentbench, sandbox, root)
    chosen = opened(tasks, options, lambda text: None if quiet or as_json else Screen(stderr=True).say(text))
    if _by_tools(config, form):
        chosen = replace(chosen, benchmark=chosen.benchmark.with_tools())
    with ExitStack() as stack:
        saved = None
        if output is not None:
            saved = stack.enter_context(SavedPlay(output / DIALOGUES, _key(config, chosen, max_new_tokens)))
        played = _played(config, chosen, max_new_tokens, quiet=quiet or as_json, saved=saved)
    pairs = zip(chosen.tasks, played, strict=True)
    summary = summarize(chosen.benchmark.groups, [(t.group, p.outcome) for t, p in pairs if p.outcome])
    result = json.dumps(as_document(config, chosen, played, summary), ensure_ascii=False, indent=2)
    if output is not None:
        write_text(output / "agent_results.json", f"{result}\n")
    if as_json:
        echo_json(result)
        return
    screen = Screen()
    if show:
        show_all(screen, chosen, played)
    print_results(screen, config, chosen, played, summary)
    if output is not None:
        screen.say(f"\nEvery conversation is in {output / DIALOGUES}.")


def _require_no_other(given: Mapping[str, object]) -> None:
    """Refuses options that say how a file of tasks is played, where there is none."""
    if names := [name for name, value in given.items() if value]:
        setting = names[0].removeprefix("--").replace("-", "_")
        fix = f"Add --tasks, or set it: --set agents.{setting}=..." if setting in SETTINGS else "Add --tasks."
        raise UserError(f"{names[0]} goes with --tasks.", "Without a file the settings of agents hold.", fix)


def _by_tools(config: Config, form: str) -> bool:
    """Returns whether the model calls tools, by the form and its chat template.

    Raises:
        UserError: it must, and its template has none.
    """
    if form == "text":
        return False
    # Imported here: a mistake on the command line is reported before transformers is loaded.
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import tools_of
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    return tools_of(ChatTemplate.from_tokenizer(load_tokenizer(config.models.generator)), form) is not None


def _key(config: Config, chosen: TaskSet, max_new_tokens: int) -> dict[str, Any]:
    """Returns what conversations depend on."""
    return {
        "model": identity(config.models.generator),
        "tasks": hashlib.sha256(repr(chosen.tasks).encode()).hexdigest(),
        "environment": chosen.environment.key,
        "max_new_tokens": max_new_tokens,
        "rounds": chosen.benchmark.form.rounds,
        **({"form": "tools"} if chosen.benchmark.by_tools else {}),
    }


def _played(
    config: Config,
    chosen: TaskSet,
    max_new_tokens: int,
    *,
    quiet: bool,
    saved: SavedPlay | None = None,
) -> list[Played]:
    """Returns all conversations; those that were played before are not played again."""
    done = {name: one for name, one in saved.played.items() if one.outcome} if saved else {}
    left = [task for task in chosen.tasks if task.id not in done]
    if left:
        with (
            Display(quiet=quiet) as display,
            display.task("playing", len(chosen.tasks), "tasks", done=len(done)) as advance,
        ):

            def note(task: AgentTask, one: Played) -> None:
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
    tasks: Sequence[AgentTask],
    chosen: TaskSet,
    max_new_tokens: int,
    earlier: Sequence[Sequence[str]],
    note: Callable[[AgentTask, Played], None],
) -> None:
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import agent_of

    model, form = config.models.generator, "tools" if chosen.benchmark.by_tools else "text"
    with open_engine(model, config.engine, detect(config.engine.device)) as (engine, template):
        agent, read = agent_of(engine, template, form, max_new_tokens)
        for number, one in play(tasks, lambda task: chosen.environment.begin(task, read), agent, earlier):
            chosen.environment.require(chosen.benchmark.label, one.outcome)
            note(tasks[number], one)
