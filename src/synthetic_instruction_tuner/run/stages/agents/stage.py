"""Stage agents: variants of the students work on tasks, all conversations of a variant side by side.

A variant's conversations on a benchmark are a unit of their own, named by what they depend on, so that another variant,
or another benchmark, never plays them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation import comparison
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import (
    agent_benchmark,
    task_count,
    usable,
)
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Environment, Surroundings
from synthetic_instruction_tuner.evaluation.agent_bench.results import AgentResult, AgentResults, agent_rows
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import trained_on
from synthetic_instruction_tuner.run.stages import evaluate
from synthetic_instruction_tuner.run.stages.agents.playing import play_variant, played_so_far
from synthetic_instruction_tuner.run.stages.agents.units import (
    LEFT_OUT,
    NAME,
    VERSION,
    agents,
    left_out,
    named_unit,
    stored_results,
    unit_of,
)
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.store import Store

PLAYING = "playing"


def part(config: Config) -> dict[str, Any]:
    """Returns what the results depend on, beside the adapters."""
    if not config.agents.benchmarks:
        return {"agents": "off"}
    data = {name: _digest(config, name) for name in config.agents.benchmarks}
    models = [identity(model) for model in config.models.students]
    return {
        "agents": config.agents.key_part(),
        "tasks": data,
        "students": models,
        "engine": config.engine.key_part(),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the results' file; there are further ones, with the conversations."""
    benchmarks, chosen = usable(config), agents(config, folder)
    return [_results_file(folder)] if benchmarks and chosen else []


def run(ctx: Context) -> Outcome:
    """Plays what has not been played, and adds the results to the comparison."""
    benchmarks, chosen = usable(ctx.config), agents(ctx.config, ctx.folder)
    missing = {
        v.label: [one for one in benchmarks if not ctx.store.batch_numbers(unit_of(ctx, v, one))] for v in chosen
    }
    ctx.store.set_fact(LEFT_OUT, {})
    if any(missing.values()):
        environments = _environments(ctx, missing)
        missing = {label: [one for one in own if one.name in environments] for label, own in missing.items()}
        total = sum(task_count(one, ctx.config) for own in missing.values() for one in own)
        done = sum(played_so_far(ctx.store, unit_of(ctx, v, one)) for v in chosen for one in missing[v.label])
        with ctx.display.task(PLAYING, total, "tasks", done) as advance:
            for variant in chosen:
                if missing[variant.label]:
                    play_variant(ctx, variant, missing[variant.label], environments, advance)
    results = stored_results(ctx)
    rows = agent_rows(results)
    evaluate.store_rows(ctx, rows)
    files = _write(ctx, results)
    if earlier := evaluate.comparison_rows(ctx.store):
        comparison.write_csv([*earlier, *rows], ctx.folder.comparison)
        files.append(ctx.folder.comparison)
    tasks = sum(len(one.tasks) for own in results.values() for one in own)
    note = _note(ctx.config, results, left_out(ctx.store))
    return Outcome(fingerprint(comparison.csv_text(rows), note), tasks, len(results), note, tuple(files))


def _environments(ctx: Context, missing: Mapping[str, Sequence[AgentBenchmark]]) -> dict[str, Environment]:
    """Opens what the benchmarks need; one that needs a sandbox is left out where there is none."""
    found, without = dict[str, Environment](), dict[str, str]()
    for one in {one.name: one for own in missing.values() for one in own}.values():
        try:
            found[one.name] = one.environment(Surroundings.of(ctx.config))
        except NoSandbox as error:
            without[one.name] = "no sandbox on this machine"
            ctx.display.say(f"  {one.name} is left out. {error.problem} {error.fix}")
    ctx.store.set_fact(LEFT_OUT, without)
    return found


def so_far(config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many tasks have been played to their end."""
    benchmarks, chosen = usable(config), agents(config, folder)
    keys = {m.name: state.key for m in METHODS if (state := store.stage(m.name))}
    played = 0
    for variant in chosen:
        if variant.adapter is not None and not variant.adapter.is_dir():
            continue
        held = trained_on(store, keys, variant.student) or ""
        for one in benchmarks:
            unit = named_unit(config, variant, one, held)
            whole = bool(store.batch_numbers(unit))
            played += task_count(one, config) if whole else played_so_far(store, unit)
    return Amount(played, len(chosen) * sum(task_count(one, config) for one in benchmarks), "tasks")


def _digest(config: Config, name: str) -> str | None:
    """Returns a hash of a benchmark's tasks; None where it cannot run here."""
    try:
        found = agent_benchmark(name).at_hand(config)
    except UserError:
        return None
    return found.digest if found.usable else None


def _results_file(folder: RunFolder) -> Path:
    return folder.agents / "results.json"


def _write(ctx: Context, results: AgentResults) -> list[Path]:
    """Writes the results, and each variant's conversations on each benchmark as lines of JSON; returns the files."""
    found, files = [], []
    for (student, variant), own in results.items():
        for one in own:
            label = f"{student}-{variant}"
            head = {"benchmark": one.benchmark, "student": student, "variant": variant}
            lines = [json.dumps(head | task.to_json(), ensure_ascii=False) for task in one.tasks]
            files.append(ctx.folder.dialogues(one.benchmark, label))
            write_text(files[-1], "".join(f"{line}\n" for line in lines))
            found.append(head | _numbers(one))
    if outputs(ctx.config, ctx.folder):
        write_text(_results_file(ctx.folder), json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return files


def _numbers(result: AgentResult) -> dict[str, Any]:
    summary = result.summary
    return {
        "environment": result.environment,
        "protocol": agent_benchmark(result.benchmark).form.protocol,
        result.headline: summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups if group.n},
        "failures": dict(summary.reasons),
        "environment_errors": summary.broken,
    }


def _note(config: Config, results: AgentResults, without: Mapping[str, str]) -> str:
    """Returns a remark for the stage table: what was left out, and what broke."""
    if not config.agents.benchmarks:
        return "off: agents.benchmarks is empty"
    there = {one.name for one in usable(config)}
    absent = [name for name in config.agents.benchmarks if name not in there]
    summaries = [one.summary for own in results.values() for one in own]
    broken = sum(one.broken for one in summaries)
    right = sum(group.right for one in summaries for group in one.groups)
    parts = [f"{right:,} of {sum(one.n for one in summaries):,} solved"] if summaries else []
    parts += [f"{', '.join(absent)} left out: no tasks on this machine"] if absent else []
    parts += [f"{name} left out: {why}" for name, why in without.items()]
    if not parts:
        parts.append(f"no student has a variant {' or '.join(config.agents.variants)}")
    if broken:
        parts.append(f"{broken:,} tasks without a result: their environment broke")
    return "; ".join(parts)


STAGE = Stage(
    NAME,
    "Agents: models work on tasks turn by turn",
    tuple(method.name for method in METHODS),
    part,
    outputs,
    run,
    version=VERSION,
    units=("tasks", "variants"),
    joint="x",
    so_far=so_far,
)
