"""Which variants work as agents, what their conversations depend on, and where the store has them."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import usable
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark
from synthetic_instruction_tuner.evaluation.agent_bench.results import AgentResult, TaskResult, agent_rows
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import choose_dtype, detect
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages.evaluate import COMPARISON
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.stages.variants.variant import Variant, variants
from synthetic_instruction_tuner.run.store import Store

NAME = "agents"
LEFT_OUT = "agents_left_out"
"""The fact that holds the benchmarks for which there is no environment, with the reason."""
VERSION = 1  # raised when the code changes what agents are asked, or how their turns are read or scored


def agents(config: Config, folder: RunFolder) -> list[Variant]:
    """Returns the variants that work as agents, student by student, in the order of `methods.VARIANTS`."""
    return [one for one in variants(config, folder) if one.name in config.agents.variants]


def unit_of(ctx: Context, variant: Variant, benchmark: AgentBenchmark) -> str:
    """Returns the name of a variant's conversations on a benchmark, by all that they depend on."""
    held = ctx.number_format(variant.student, student=True)
    return named_unit(ctx.config, variant, benchmark, held.weights if held.quantized else "")


def named_unit(config: Config, variant: Variant, benchmark: AgentBenchmark, quantized: str) -> str:
    """Returns the same for weights that are held in this format; "" where they are not quantized."""
    own = {name: value for name, value in config.agents.key_part().items() if name not in ("benchmarks", "variants")}
    key = fingerprint(
        VERSION,
        benchmark.name,
        own,
        benchmark.at_hand(config).digest,
        identity(variant.student),
        adapter_digest(variant.adapter, variant.student) if variant.adapter else None,
        config.engine.key_part(),
        choose_dtype(detect(config.engine.device), config.engine.dtype)[0],
        *((quantized,) if quantized else ()),
    )
    return f"{NAME}:{variant.label}:{benchmark.name}:{key}"


def stored_result(store: Store, unit: str, benchmark: AgentBenchmark) -> AgentResult | None:
    """Returns a variant's result on a benchmark; None where it has not been played to the end."""
    if not store.batch_numbers(unit):
        return None
    first, *rows = store.rows(unit)
    tasks = tuple(map(TaskResult.from_json, rows))
    return AgentResult.of(benchmark, first["environment"], tasks)


def stored_results(ctx: Context) -> dict[tuple[str, str], Sequence[AgentResult]]:
    """Returns the results by student and variant; nothing unless all that the settings ask for are there."""
    found: dict[tuple[str, str], Sequence[AgentResult]] = {}
    benchmarks = [one for one in usable(ctx.config) if one.name not in left_out(ctx.store)]
    for variant in agents(ctx.config, ctx.folder):
        if variant.adapter is not None and not variant.adapter.is_dir():
            return {}
        own = [stored_result(ctx.store, unit_of(ctx, variant, one), one) for one in benchmarks]
        whole = [one for one in own if one is not None]
        if len(whole) < len(own):
            return {}
        found[variant.student.name, variant.name] = whole
    return found if benchmarks else {}


def left_out(store: Store) -> dict[str, str]:
    """Returns the benchmarks that the stage has left out for want of an environment, with the reason."""
    return dict(store.fact(LEFT_OUT) or {})


def finished_rows(ctx: Context) -> list[ComparisonRow]:
    """Returns the agents' rows of the comparison; none unless all that the settings ask for have been played."""
    return agent_rows(stored_results(ctx))


def stored_rows(store: Store) -> list[ComparisonRow]:
    """Returns the agents' rows of the stage's last work; none where it has not been done."""
    state = store.stage(NAME)
    unit = f"{NAME}:{state.key}:{COMPARISON}" if state and state.status == "done" else ""
    return [ComparisonRow.from_json(row) for row in store.rows(unit)]
