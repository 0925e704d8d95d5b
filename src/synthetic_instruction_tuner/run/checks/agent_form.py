"""Whether the students can act in the form that the settings of agents ask for."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark

_FIX = "Leave agents.form at auto, or set it to text."


def check_form(config: Config, models: Sequence[ModelConfig]) -> None:
    """Stops where agents must call tools and a benchmark, or a model's chat template, has none.

    A model whose files are not on this machine yet is looked at when it plays.

    Raises:
        UserError: with the reason.
    """
    if config.agents.form != "tools":
        return
    if without := [name for name in config.agents.benchmarks if agent_benchmark(name).tools is None]:
        raise UserError(
            f"Agents cannot call tools on {', '.join(without)}.", "agents.form is tools", f"{_FIX} Or leave it out."
        )
    for model in models:
        _require_tools(model)


def _require_tools(model: ModelConfig) -> None:
    from synthetic_instruction_tuner.chat.tools.template import NoTools
    from synthetic_instruction_tuner.engines.variants import template_of
    from synthetic_instruction_tuner.evaluation.agent_bench.agent.tool_agent import tools_of
    from synthetic_instruction_tuner.models.availability import availability

    where = availability(model, reward=False)
    if where.fault is not None or where.folder is None:  # another check says so, or a run downloads it
        return
    try:
        tools_of(template_of(model), "tools")
    except NoTools as error:
        raise UserError(f"The model {model.name} cannot call tools.", error.cause, _FIX) from error
