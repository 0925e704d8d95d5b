"""Brings all conversations of a variant forward, round by round, and commits each round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import chosen_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark, Environment
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue
from synthetic_instruction_tuner.evaluation.agent_bench.results import TaskResult
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, play_rounds
from synthetic_instruction_tuner.run.progress import Advance
from synthetic_instruction_tuner.run.stages.agents.units import unit_of
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.stages.variants.variant import Variant
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.kept_turns import KeptTurns


@dataclass(frozen=True, slots=True)
class _Entry:
    """A task of one of the benchmarks that are played together."""

    benchmark: AgentBenchmark
    task: Any

    @property
    def id(self) -> str:
        return f"{self.benchmark.name} {self.task.id}"


def play_variant(
    ctx: Context,
    variant: Variant,
    benchmarks: Sequence[AgentBenchmark],
    environments: Mapping[str, Environment],
    advance: Advance,
) -> None:
    """Plays what a variant has not played of these benchmarks, all tasks together, and commits the results.

    Raises:
        RunError: an environment is gone; what was played is kept.
    """
    kept = {one.name: KeptTurns(ctx.store, unit_of(ctx, variant, one), ctx.commit) for one in benchmarks}
    tasks = {one.name: chosen_tasks(one, ctx.config) for one in benchmarks}
    left = [
        _Entry(one, task) for one in benchmarks for task in tasks[one.name] if task.id not in kept[one.name].results
    ]
    if left:
        _play(ctx, variant, left, kept, environments, advance)
    for one in benchmarks:
        results = kept[one.name].results
        rows = [results[task.id] for task in tasks[one.name]]
        ctx.commit(unit_of(ctx, variant, one), 0, [{"environment": environments[one.name].name}, *rows])
        kept[one.name].forget()


def played_so_far(store: Store, unit: str) -> int:
    """Returns how many tasks of a unit that is not whole have ended."""
    return len(KeptTurns(store, unit, lambda *_: None).results)


def _play(
    ctx: Context,
    variant: Variant,
    left: Sequence[_Entry],
    kept: Mapping[str, KeptTurns],
    environments: Mapping[str, Environment],
    advance: Advance,
) -> None:
    from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import agent_of

    settings = ctx.config.agents
    form = settings.form if any(entry.benchmark.tools for entry in left) else "text"
    earlier = [kept[entry.benchmark.name].turns.get(entry.task.id, ()) for entry in left]
    with ctx.engine(variant.student, variant.adapter, student=True) as (engine, template):
        agent, read = agent_of(engine, template, form, settings.max_new_tokens)

        def begin(entry: _Entry) -> Dialogue:
            return environments[entry.benchmark.name].begin(entry.task, read if entry.benchmark.tools else None)

        for changed in play_rounds(left, begin, agent, earlier, settings.at_once):
            round_ = [(left[number], played) for number, played in changed]
            for entry, played in round_:  # nothing of a round without its environment is kept
                environments[entry.benchmark.name].require(entry.benchmark.name, played.outcome)
            for name, own in kept.items():
                _keep(own, [(entry.task, played) for entry, played in round_ if entry.benchmark.name == name])
            advance(sum(played.outcome is not None for _, played in round_), f"{variant.label}")


def _keep(own: KeptTurns, played: Sequence[tuple[Any, Played]]) -> None:
    ended = [(task, one) for task, one in played if one.outcome is not None]
    own.add(
        {task.id: one.turns for task, one in played},
        {task.id: TaskResult.of(task.id, task.group, one).to_json() for task, one in ended},
    )
