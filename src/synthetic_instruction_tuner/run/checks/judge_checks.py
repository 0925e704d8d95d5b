"""What is checked of MT-Bench's judge before a run: there is one, it judges no relative, and its endpoint answers."""

from __future__ import annotations

from synthetic_instruction_tuner.config import Config, EngineConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import NAME
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.opening import engine_for_judge, no_judge
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import related_judge
from synthetic_instruction_tuner.run.checks.finding import Check
from synthetic_instruction_tuner.run.roles import JUDGE


def judge_faults(config: Config) -> list[UserError]:
    """Returns why the judge that the settings name, or do not name, cannot be used."""
    if NAME not in config.evaluate.benchmarks:
        return []
    settings = config.evaluate.mt_bench.judge
    fault = no_judge() if settings.model is None else related_judge(settings, config)
    return [fault] if fault else []


def engine_of(role: str, config: Config) -> EngineConfig:
    """Returns the settings of the engine that runs a model in this role."""
    return engine_for_judge(config.evaluate.mt_bench.judge, config.engine) if role == JUDGE else config.engine


def is_endpoint(role: str, config: Config) -> bool:
    """Returns whether the model is behind a chat endpoint: none of its files are needed here."""
    judge = config.evaluate.mt_bench.judge
    return role == JUDGE and judge.api == "chat" and judge.model is not None and judge.model.url is not None


def check_endpoint(config: Config) -> Check:
    """Asks the judge's endpoint for a few words."""
    from synthetic_instruction_tuner.engines.server.chat_endpoint import check_chat_endpoint
    from synthetic_instruction_tuner.engines.server.probe import Unreachable

    model = config.evaluate.mt_bench.judge.model
    assert model is not None
    name = f"{JUDGE} {model.name}"
    try:
        return Check(name, True, f"on {check_chat_endpoint(model, config.engine)}")
    except SitError as error:
        return Check(name, False, f"{error.problem} {error.cause}", error.fix, isinstance(error, Unreachable))
