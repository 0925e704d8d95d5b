"""Opens a model with the engine chosen for it, then frees its memory and checks that it is free."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import is_soft_prompt, load_soft_prompt, require_base
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype, set_threads
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer, resolve
from synthetic_instruction_tuner.models.memory import memory_freed, not_freed
from synthetic_instruction_tuner.models.quantization.held import settled, writing_format
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

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
def _open_transformers(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None
) -> Iterator[tuple[Engine, ChatTemplate]]:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

    device = choose_device(hardware, config.device)
    set_threads(config.threads)
    tokenizer = load_tokenizer(model)
    with memory_freed(model.name, device):
        loaded = load_causal_lm(model, choose_dtype(hardware, config.dtype)[0], device, adapter)
        quiet_libraries()
        template = ChatTemplate.from_tokenizer(tokenizer, loaded.generation_config)
        soft_prompt = load_soft_prompt(adapter) if adapter and is_soft_prompt(adapter) else None
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else template.stop_ids[0]
        engine = TransformersEngine(
            loaded, pad_id, batch_size=config.batch_size, device=device, soft_prompt=soft_prompt
        )
        alive = weakref.ref(loaded)
        del loaded
        try:
            engine.try_out()
            yield engine, template
        finally:
            engine.close()
        if alive() is not None:
            raise not_freed(model.name, "something still refers to the model")


@contextmanager
def _open_vllm(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None
) -> Iterator[tuple[Engine, ChatTemplate]]:
    if adapter is not None and is_soft_prompt(adapter):
        with _open_transformers(model, config, hardware, adapter) as opened:  # vLLM does not take soft prompts
            yield opened
        return
    if adapter is not None:
        require_base(adapter, model)
    from synthetic_instruction_tuner.engines.vllm import VllmEngine, llm_arguments, prepare_environment

    quiet_libraries()
    prepare_environment()
    template = _template(model)
    with memory_freed(model.name, choose_device(hardware, config.device)):
        from vllm import LLM

        try:
            llm = LLM(
                **llm_arguments(resolve(model), config, choose_dtype(hardware, config.dtype)[0], _rank(adapter)),
                revision=model.revision,
                trust_remote_code=model.trust_remote_code,
            )
        except (ValueError, RuntimeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            fix = "Lower engine.gpu_memory_utilization or engine.max_model_len, or set engine.kind=transformers."
            raise UserError(f"vLLM cannot run {model.name}.", first, fix) from error
        engine = VllmEngine(llm, lora=_lora_request(adapter))
        del llm
        try:
            yield engine, template
        finally:
            engine.close()


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

    template = _template(model)
    engine = open_server(model, config, template, wait=config.outage, finished=finished)
    try:
        yield engine, template
    finally:
        engine.close()


def _template(model: ModelConfig) -> ChatTemplate:
    """Returns the chat template of a model whose weights are not loaded in this process."""
    from transformers import GenerationConfig

    from synthetic_instruction_tuner.chat.template import ChatTemplate

    try:
        generation = GenerationConfig.from_pretrained(resolve(model, weights=False), revision=model.revision)
    except OSError:  # some models have none
        generation = None
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        first = " ".join(str(error).split())[:200]
        fix = "Correct the model's generation_config.json, or get it again."
        raise UserError(f"The model {model.path} has settings that cannot be read.", first, fix) from error
    quiet_libraries()
    return ChatTemplate.from_tokenizer(load_tokenizer(model), generation)


def _rank(adapter: Path | None) -> int | None:
    return None if adapter is None else int(json.loads((adapter / "adapter_config.json").read_text())["r"])


def _lora_request(adapter: Path | None) -> Any:
    if adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, str(adapter.resolve()))
