"""The variants of a model in this process: its weights are loaded once, and adapters come and go.

Transformers gets each LoRA adapter merged into the weights and takes it out again; vLLM gets it with the requests. A
soft prompt belongs to the engine, not to the weights.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import is_soft_prompt, load_soft_prompt, require_base, swapped_in
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype, set_threads
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer, resolve
from synthetic_instruction_tuner.models.memory import memory_freed, not_freed, release
from synthetic_instruction_tuner.models.quantization.held import held_as
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine

OpenVariant = Callable[[Path | None], AbstractContextManager[Any]]
"""Takes an adapter, None for the base model, and yields its engine and chat template."""

SPARE = 1e9  # bytes of main memory that stay free where a base model's weights are kept beside the tuned ones


@contextmanager
def transformers_variants(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, *, several: bool = True
) -> Iterator[OpenVariant]:
    """Yields what opens a variant with the transformers engine; the memory is given back when the block ends.

    Args:
        model, config, hardware: as in `opening.open_engine`.
        several: whether there may be more than one variant; a single one keeps nothing beside it.

    Raises:
        RunError: the memory was not freed.
    """
    device = choose_device(hardware, config.device)
    set_threads(config.threads)
    with memory_freed(model.name, device):
        opened = _TransformersVariants(model, config, choose_dtype(hardware, config.dtype)[0], device, several)
        try:
            yield opened.open
        finally:
            opened.close()
        if opened.alive():
            raise not_freed(model.name, "something still refers to the model")


class _TransformersVariants:
    """See `transformers_variants`."""

    def __init__(self, model: ModelConfig, config: EngineConfig, dtype: str, device: str, several: bool) -> None:
        self._model, self._config, self._dtype, self._device = model, config, dtype, device
        self._several = several
        self._base: Any = None
        self._loaded: list[weakref.ref[Any]] = []
        self._tokenizer = load_tokenizer(model)

    def alive(self) -> bool:
        """Returns whether something still refers to a model that was loaded."""
        return any(loaded() is not None for loaded in self._loaded)

    def close(self) -> None:
        """Frees the base model's memory."""
        self._base = None
        release()

    @contextmanager
    def open(self, adapter: Path | None) -> Iterator[tuple[Engine, ChatTemplate]]:
        """Opens a variant."""
        from synthetic_instruction_tuner.chat.template import ChatTemplate
        from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine

        if adapter is not None:
            require_base(adapter, self._model)
        soft = load_soft_prompt(adapter) if adapter and is_soft_prompt(adapter) else None
        with self._weights(None if soft is not None else adapter) as loaded:
            template = ChatTemplate.from_tokenizer(self._tokenizer, loaded.generation_config)
            pad_id = self._tokenizer.pad_token_id
            engine = TransformersEngine(
                loaded,
                template.stop_ids[0] if pad_id is None else pad_id,
                batch_size=self._config.batch_size,
                device=self._device,
                soft_prompt=soft,
            )
            del loaded
            try:
                engine.try_out()
                yield engine, template
            finally:
                engine.close()

    @contextmanager
    def _weights(self, adapter: Path | None) -> Iterator[Any]:
        """Yields the model, with a LoRA adapter if one is given; the base model stays for the next variant."""
        if adapter is None or (self._several and self._has_room()):
            if self._base is None:
                self._base = self._load(None)
            if adapter is None:
                yield self._base
                return
            with swapped_in(self._base, adapter, self._device, beside=bool(held_as(self._model))) as tuned:
                yield tuned
        else:
            self.close()
            yield self._load(adapter)

    def _load(self, adapter: Path | None) -> Any:
        loaded = load_causal_lm(self._model, self._dtype, self._device, adapter)
        quiet_libraries()
        self._loaded.append(weakref.ref(loaded))
        return loaded

    def _has_room(self) -> bool:
        """Returns whether main memory holds the weights that an adapter changes a second time."""
        if held_as(self._model):
            return True
        if self._base is None:
            self._base = self._load(None)
        size = sum(parameter.nbytes for parameter in self._base.parameters())
        return bool(psutil.virtual_memory().available > size + SPARE)


@contextmanager
def vllm_variants(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapters: Sequence[Path | None]
) -> Iterator[OpenVariant]:
    """Yields what opens a variant with vLLM, which holds the base model once; a soft prompt runs on transformers.

    Args:
        model, config, hardware, adapters: as in `opening.open_variants`.
    """
    opened = _VllmVariants(model, config, hardware, adapters)
    try:
        yield opened.open
    finally:
        opened.close()


class _VllmVariants:
    """See `vllm_variants`."""

    def __init__(
        self, model: ModelConfig, config: EngineConfig, hardware: Hardware, adapters: Sequence[Path | None]
    ) -> None:
        self._model, self._config, self._hardware = model, config, hardware
        self._lora = [adapter for adapter in adapters if adapter is not None and not is_soft_prompt(adapter)]
        self._held, self._llm = ExitStack(), None

    def close(self) -> None:
        """Ends vLLM's engine process, and checks that its memory is free."""
        self._llm = None
        self._held.close()

    @contextmanager
    def open(self, adapter: Path | None) -> Iterator[tuple[Engine, ChatTemplate]]:
        """Opens a variant."""
        if adapter is not None:
            require_base(adapter, self._model)
        if adapter is not None and is_soft_prompt(adapter):  # vLLM does not take soft prompts
            self.close()  # it leaves no memory to others
            here = transformers_variants(self._model, self._config, self._hardware, several=False)
            with here as opened, opened(adapter) as engine:
                yield engine
            return
        from synthetic_instruction_tuner.engines.vllm import VllmEngine

        template = template_of(self._model)
        if self._llm is None:
            self._llm = self._held.enter_context(self._running())
        yield VllmEngine(self._llm, lora=self._request(adapter)), template

    @contextmanager
    def _running(self) -> Iterator[Any]:
        """Yields a `vllm.LLM`, with room for the largest adapter."""
        from synthetic_instruction_tuner.engines.vllm import VllmEngine, llm_arguments, prepare_environment

        model, config, hardware = self._model, self._config, self._hardware
        quiet_libraries()
        prepare_environment()
        with memory_freed(model.name, choose_device(hardware, config.device)):
            from vllm import LLM

            rank = max(map(_rank, self._lora), default=None)
            try:
                llm = LLM(
                    **llm_arguments(resolve(model), config, choose_dtype(hardware, config.dtype)[0], rank),
                    revision=model.revision,
                    trust_remote_code=model.trust_remote_code,
                )
            except (ValueError, RuntimeError) as error:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                fix = "Lower engine.gpu_memory_utilization or engine.max_model_len, or set engine.kind=transformers."
                raise UserError(f"vLLM cannot run {model.name}.", first, fix) from error
            try:
                yield llm
            finally:
                VllmEngine(llm).close()
                del llm

    def _request(self, adapter: Path | None) -> Any:
        if adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        number = self._lora.index(adapter) + 1
        return LoRARequest(f"adapter {number}", number, str(adapter.resolve()))


def _rank(adapter: Path) -> int:
    return int(json.loads((adapter / "adapter_config.json").read_text())["r"])


def template_of(model: ModelConfig) -> ChatTemplate:
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
