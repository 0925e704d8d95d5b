"""Opens a model with the engine chosen for it, then frees its memory and checks that it is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.engines.variants import (
    OpenVariant,
    template_of,
    transformers_variants,
    vllm_variants,
)
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.quantization.held import settled, writing_format

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine
    from synthetic_instruction_tuner.engines.server.engine import FinishedTexts


@contextmanager
def open_engine(
    model: ModelConfig,
    config: EngineConfig,
    hardware: Hardware,
    adapter: Path | None = None,
    *,
    student: bool = False,
    finished: FinishedTexts | None = None,
) -> Iterator[tuple[Engine, ChatTemplate]]:
    """Opens a model, with an adapter if one is given, and yields its engine and chat template.

    Args:
        model, config, hardware: what runs, how, and where. A model whose ``load_in_4bit`` is ``auto`` is held in 4 bits
            where 16 do not fit beside a few texts.
        adapter: folder of a LoRA or prompt-tuning adapter.
        student: see `choose_engine`.
        finished: keeps a server's completions until they are stored; see `engines.server.engine`.

    Raises:
        UserError: the model cannot be loaded, its chat template cannot be used, or the engine is not available here.
        RunError: the model's memory was not freed, or a server does not answer.
    """
    if not on_a_server(model, config):
        model = settled(model, writing_format(model, hardware, config.dtype, config.batch_size))
    choice = choose_engine(model, config, hardware, student=student or adapter is not None)
    openers: dict[str, Callable[..., AbstractContextManager[tuple[Engine, ChatTemplate]]]] = {
        "transformers": _open_transformers,
        "vllm": _open_vllm,
        "server": _open_server,
    }
    kept = {"finished": finished} if choice.kind == "server" else {}
    with openers[choice.kind](model, config, hardware, adapter, **kept) as opened:
        yield opened


@contextmanager
def open_variants(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapters: Sequence[Path | None]
) -> Iterator[OpenVariant]:
    """Opens a student whose variants are used one after the other: the base is loaded once, adapters are swapped in.

    Args:
        model, config, hardware: as in `open_engine`.
        adapters: those that may come, None for the base model without one.

    Yields:
        A function that takes an adapter and is used like `open_engine`.

    Raises:
        UserError, RunError: as in `open_engine`.
    """
    model = settled(model, writing_format(model, hardware, config.dtype, config.batch_size))
    kind = choose_engine(model, config, hardware, student=True).kind
    if kind == "transformers":
        with transformers_variants(model, config, hardware) as opened:
            yield opened
    elif kind == "vllm":
        with vllm_variants(model, config, hardware, adapters) as opened:
            yield opened
    else:
        yield lambda adapter: open_engine(model, config, hardware, adapter, student=True)


@contextmanager
def _open_transformers(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None
) -> Iterator[tuple[Engine, ChatTemplate]]:
    with transformers_variants(model, config, hardware, several=False) as opened, opened(adapter) as engine:
        yield engine


@contextmanager
def _open_vllm(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None
) -> Iterator[tuple[Engine, ChatTemplate]]:
    with vllm_variants(model, config, hardware, [adapter]) as opened, opened(adapter) as engine:
        yield engine


@contextmanager
def _open_server(
    model: ModelConfig,
    config: EngineConfig,
    hardware: Hardware,
    adapter: Path | None,
    *,
    finished: FinishedTexts | None,
) -> Iterator[tuple[Engine, ChatTemplate]]:
    from synthetic_instruction_tuner.engines.server.probe import open_server

    template = template_of(model)
    engine = open_server(model, config, template, wait=config.outage, finished=finished)
    try:
        yield engine, template
    finally:
        engine.close()
