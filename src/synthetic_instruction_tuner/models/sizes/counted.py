"""The tensors that a model has by its configuration alone: Transformers builds it without memory for its numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

MOST_LAYERS, MOST_EXPERTS = 1000, 2048  # more are a mistake, and would take long to build
_DEPTHS, _EXPERTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers"), ("num_experts", "num_local_experts")


def counted(folder: Path, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a model's tensors by name; none of an architecture that Transformers cannot build.

    It runs no code that comes with a model.

    Args:
        folder: where its config.json is.
        config: what that holds.
    """
    if not isinstance(config.get("model_type"), str) or "auto_map" in config or _is_too_much(config):
        return {}
    try:
        return _built(folder, (folder / "config.json").stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=16)
def _built(folder: Path, _changed: int) -> dict[str, tuple[int, ...]]:
    import torch
    import transformers

    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            config.__dict__.pop("quantization_config", None)
            named = getattr(transformers, next(iter(config.architectures or ()), ""), None)
            if named is None:
                model = transformers.AutoModelForCausalLM.from_config(config)
            else:
                text = config if isinstance(config, named.config_class) else config.get_text_config()
                model = named._from_config(text)
            return {name: tuple(one.shape) for name, one in model.named_parameters()}
    except Exception:  # of any kind, from the code of hundreds of architectures: then a formula has to do
        return {}


def _is_too_much(config: Mapping[str, Any]) -> bool:
    sizes = (
        (config.get(name), most) for names, most in ((_DEPTHS, MOST_LAYERS), (_EXPERTS, MOST_EXPERTS)) for name in names
    )
    return any(isinstance(size, int) and size > most for size, most in sizes)
