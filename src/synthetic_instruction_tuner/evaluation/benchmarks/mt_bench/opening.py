"""Opens the judge: a model in this process, one on a server that takes tokens, or a chat endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, fingerprint
from synthetic_instruction_tuner.config.sections.mt_bench import MtJudgeConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import ArrivingReplies, Judge, KeptReplies
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import Hardware

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine
    from synthetic_instruction_tuner.engines.server.chat_endpoint import TextTemplate

AT_ONCE = 256  # prompts handed to an engine in one call where `engine.batch_size` is auto
SERVED_AT_ONCE = 1024  # prompts handed to a server's engine in one call; it keeps each reply as it comes


@contextmanager
def open_judge(
    settings: MtJudgeConfig, config: EngineConfig, hardware: Hardware, label: str, kept: KeptReplies | None = None
) -> Iterator[Judge]:
    """Opens the judge and yields it; its memory is free afterwards.

    Args:
        settings: which model, how it is asked, and how long it may write.
        config: the engine's settings; its url is the generator's and not used.
        hardware: this machine.
        label: the judge's name in tables.
        kept: replies that came before, and where new ones go.

    Raises:
        UserError: there is no judge, or it cannot be used.
        RunError: its server does not answer.
    """
    model = settings.model
    if model is None:
        raise no_judge()
    arriving, key = ArrivingReplies(), judge_key(settings, config)

    def judge(engine: Engine, template: ChatTemplate | TextTemplate, at_once: int) -> Judge:
        return Judge(
            label,
            key,
            engine,
            template,
            max_new_tokens=settings.max_new_tokens,
            kept=kept,
            at_once=at_once,
            arriving=arriving if model.url else None,
        )

    if model.url and settings.api == "chat":
        from synthetic_instruction_tuner.engines.server.chat_endpoint import TextTemplate, open_chat_endpoint

        endpoint = open_chat_endpoint(model, config, finished=arriving)
        try:
            yield judge(endpoint, TextTemplate(), SERVED_AT_ONCE)
        finally:
            endpoint.close()
        return
    from synthetic_instruction_tuner.engines.opening import open_engine

    own = engine_for_judge(settings, config)
    with open_engine(model, own, hardware, finished=arriving) as (opened, template):
        yield judge(opened, template, _prompts_at_once(model, own))


def _prompts_at_once(model: ModelConfig, config: EngineConfig) -> int:
    """Returns how many prompts an engine is given in one call."""
    if model.url:
        return SERVED_AT_ONCE
    return AT_ONCE if config.batch_size == "auto" else config.batch_size


def engine_for_judge(settings: MtJudgeConfig, config: EngineConfig) -> EngineConfig:
    """Returns the engine's settings for the judge: a url of the engine is for generator and responders alone."""
    served = settings.model is not None and settings.model.url is not None
    kind = "server" if served else "auto" if config.kind == "server" else config.kind
    return config.model_copy(update={"url": None, "api_key_env": "", "kind": kind})


def judge_key(settings: MtJudgeConfig, config: EngineConfig) -> str:
    """Returns a hash of what a reply depends on beside its prompt; how a server is reached does not matter."""
    assert settings.model is not None
    served = settings.model.url is not None
    engine = None if served else config.key_part()
    return fingerprint(identity(settings.model), settings.api if served else None, engine)


def no_judge() -> UserError:
    """Returns the error for a benchmark without a judge."""
    return UserError(
        "MT-Bench needs a judge.",
        "evaluate.mt_bench.judge.model is not set.",
        "Name a chat model, such as --set evaluate.mt_bench.judge.model=microsoft/phi-4, or take mt_bench out of "
        "evaluate.benchmarks.",
    )
