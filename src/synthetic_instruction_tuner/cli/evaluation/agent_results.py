"""What ``sit agent-eval`` prints and writes of the conversations that it has played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import TaskSet
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played
from synthetic_instruction_tuner.evaluation.agent_bench.summary import Summary
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen


def as_document(config: Config, chosen: TaskSet, played: Sequence[Played], summary: Summary) -> dict[str, Any]:
    """Returns the results as plain JSON values."""
    return {
        "benchmark": chosen.benchmark.label,
        "protocol": chosen.benchmark.form.protocol,
        "model": config.models.generator.name,
        "environment": chosen.environment.name,
        chosen.benchmark.headline: summary.headline,
        "standard_error": summary.error,
        "n": summary.n,
        "groups": {group.name: {"right": group.right, "n": group.n} for group in summary.groups},
        "failures": dict(summary.reasons),
        "invalid_calls": _invalid_calls(played),
        "environment_errors": summary.broken,
        **({"left_out": list(chosen.left_out)} if chosen.left_out else {}),
        "tasks": [
            {"id": task.id, "type": task.kind, "turns": len(one.turns), **one.outcome.to_json()}
            for task, one in zip(chosen.tasks, played, strict=True)
            if one.outcome
        ],
    }


def _invalid_calls(played: Sequence[Played]) -> int:
    return sum(one.outcome.invalid_calls for one in played if one.outcome)


def print_results(screen: Screen, config: Config, chosen: TaskSet, played: Sequence[Played], summary: Summary) -> None:
    """Prints the accuracies, and why tasks failed."""
    screen.say(f"{chosen.benchmark.label} ({chosen.benchmark.form.protocol}): {config.models.generator.name}", "bold")
    screen.say(f"Environment: {chosen.environment.name}")
    table = Table(
        Column("Tasks", "name", key=True),
        Column("Solved", "whole", right=True),
        Column("Of", "whole", right=True),
        Column("Accuracy", "whole", right=True),
    )
    whole = f"{summary.headline:.1%} ± {summary.error:.1%}"
    for group in summary.groups:
        share = f"{group.mean:.1%}" if chosen.benchmark.mean else whole
        table.add(group.name, f"{group.right:,}", f"{group.n:,}", share if group.n else "-")
    if chosen.benchmark.mean:
        table.add(chosen.benchmark.mean, "", f"{summary.n:,}", whole)
    screen.table(table)
    if summary.reasons:
        screen.say("\nWhy tasks failed", "bold")
        failures = Table(Column("Reason", "name", key=True), Column("Tasks", "whole", right=True))
        for reason, count in summary.reasons.items():
            failures.add(reason, f"{count:,}")
        screen.table(failures)
    if invalid := _invalid_calls(played):
        screen.say(f"\nInvalid calls, and turns without a call: {invalid:,}")
    if chosen.left_out:
        screen.say(f"\n{len(chosen.left_out):,} tasks are left out: their scripts are not there. Give --agentbench.")
    if summary.broken:
        screen.say(f"\n{summary.broken:,} tasks have no result: the environment broke twice. They count for nothing.")


def show(screen: Screen, chosen: TaskSet, played: Sequence[Played]) -> None:
    """Prints the conversations, turn by turn."""
    known = chosen.benchmark.form.shared  # messages of instructions, which are the same for all
    for task, one in zip(chosen.tasks, played, strict=True):
        for message in one.messages[known:]:
            screen.say(f"[{message.role}]", "bold")
            screen.say(message.content or "(empty)")
        outcome = one.outcome
        if outcome is not None:
            how = "solved" if outcome.right else f"not solved: {outcome.reason}"
            screen.say(f"{task.id} {how}{f' ({outcome.note})' if outcome.note else ''}", "bold")
            screen.say()
