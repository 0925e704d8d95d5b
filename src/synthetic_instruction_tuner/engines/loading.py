"""Opens a model for text and gives its memory back afterwards, which is checked."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RunError
from ..hardware import Hardware, choose_device, choose_dtype, quiet_libraries, set_threads
from ..models import is_soft_prompt, load_causal_lm, load_soft_prompt, load_tokenizer, release
from ..settings import EngineConfig, ModelConfig

if TYPE_CHECKING:
    from ..chat.template import ChatTemplate
    from .transformers_engine import TransformersEngine


@contextmanager
def open_engine(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None = None
) -> Iterator[tuple[TransformersEngine, ChatTemplate]]:
    """Loads a model, with an adapter if one is given, and yields its engine and chat template.

    Raises:
        UserError: the model cannot be loaded, or its chat template cannot be used.
        RunError: the model's memory did not come back.
    """
    from ..chat.template import ChatTemplate
    from .transformers_engine import TransformersEngine

    device = choose_device(hardware, config.device)
    set_threads(config.threads)
    tokenizer = load_tokenizer(model)
    loaded = load_causal_lm(model, choose_dtype(hardware, config.dtype)[0], device, adapter)
    quiet_libraries()
    template = ChatTemplate.from_tokenizer(tokenizer, loaded.generation_config)
    soft_prompt = load_soft_prompt(adapter) if adapter and is_soft_prompt(adapter) else None
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else template.stop_ids[0]
    engine = TransformersEngine(loaded, pad_id, batch_size=config.batch_size, device=device, soft_prompt=soft_prompt)
    alive = weakref.ref(loaded)
    del loaded
    try:
        yield engine, template
    finally:
        engine.close()
        release()
    if alive() is not None:
        raise RunError(
            f"The memory of {model.name} did not come back.",
            "Something still refers to the model.",
            "Run the same command again: it goes on in a fresh process.",
        )
