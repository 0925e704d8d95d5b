"""Brings the decode kernel into a model of transformers, as one of its attention implementations.

The mask that the model hands to its layers is not a mask then, but says of each row from where to where it is visible.
A model that does more with its mask, or whose attention is more than a softmax of scaled products, raises an error, and
the engine takes masked attention instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

import torch
from transformers import AttentionInterface

_NAME = "sit_pages"
_TABLE: ContextVar[torch.Tensor] = ContextVar("table of pages")
_MORE_THAN_SOFTMAX = ("softcap", "s_aux", "position_bias")


def has_kernel(model: Any, device: str) -> bool:
    """Returns whether the decode kernel may serve the model; only a trial can tell that it does."""
    if device != "cuda" or find_spec("triton") is None:
        return False
    return bool(model.config.get_text_config()._attn_implementation == "sdpa")


class AttentionSwitch:
    """Switches a model's layers between their own attention and another one.

    Args:
        model: a causal LM.
        name: what the other one is called.
        attention: the other one, in the signature of transformers.
    """

    def __init__(self, model: Any, name: str, attention: Callable[..., Any]) -> None:
        AttentionInterface.register(name, attention)
        self._name = name
        found: list[Any] = [getattr(module, "config", None) for module in model.modules()]
        self._configs = list({id(c): c for c in found if hasattr(c, "_attn_implementation_internal")}.values())

    @contextmanager
    def switched(self) -> Iterator[None]:
        """Within this context the layers use the other attention."""
        before = [config._attn_implementation_internal for config in self._configs]
        for config in self._configs:
            config._attn_implementation_internal = self._name
        try:
            yield
        finally:
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation_internal = name


class KernelAttention(AttentionSwitch):
    """Switches a model's layers between their own attention and the decode kernel."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, _NAME, _attention)

    @contextmanager
    def active(self, table: torch.Tensor) -> Iterator[None]:
        """Within this context the model takes one new token per row, spans instead of masks, and a `PagedCache`.

        Args:
            table: the cache's table of pages.
        """
        reset = _TABLE.set(table)
        try:
            with self.switched():
                yield
        finally:
            _TABLE.reset(reset)


def require_plain(mask: torch.Tensor | None, options: dict[str, Any]) -> torch.Tensor:
    """Returns the mask as it was handed to the model.

    Raises:
        NotImplementedError: the layer has changed it, or its attention is more than a softmax of scaled products.
    """
    if mask is None or mask.dtype != torch.int32:
        raise NotImplementedError("the layer changed its mask")
    if any(options.get(name) is not None for name in _MORE_THAN_SOFTMAX):
        raise NotImplementedError("the layer's attention is more than a softmax of scaled products")
    return mask


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention in the signature of transformers; returns [rows, 1, heads, width]."""
    from synthetic_instruction_tuner.engines.transformers.gpu.attention_kernel import decode_attention

    span = require_plain(attention_mask, kwargs)[:, 0, 0]
    if query.shape[2] != 1:
        raise NotImplementedError("more than one new token")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return decode_attention(query, key, value, _TABLE.get(), span, scale)[:, None], None
