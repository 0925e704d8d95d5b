"""Lets a model of transformers compute norms, rotary positions and gates with kernels of their own.

Every part is tried out before it is believed: a module whose own result is another, because its formula is, keeps its
way. So Gemma's norms, interleaved rotary positions and other gates than SiLU stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_ROTARY = "apply_rotary_pos_emb"
_HALF_A_DIGIT = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


class FusedLayers:
    """The parts of a model that kernels serve, found once.

    Args:
        model: a causal LM, on a GPU.

    Attributes:
        count: how many modules and functions are served.
    """

    def __init__(self, model: Any) -> None:
        self._modules: list[tuple[torch.nn.Module, Callable[..., torch.Tensor]]] = []
        self._functions: list[tuple[dict[str, Any], Callable[..., Any]]] = []
        if model.dtype in _HALF_A_DIGIT:
            with torch.inference_mode():
                self._find(model)
        self.count = len(self._modules) + len(self._functions)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within this context the model computes with the kernels."""
        own = [names[_ROTARY] for names, _ in self._functions]
        for names, function in self._functions:
            names[_ROTARY] = function
        for module, forward in self._modules:
            module.forward = forward
        try:
            yield
        finally:
            for (names, _), function in zip(self._functions, own, strict=True):
                names[_ROTARY] = function
            for module, _ in self._modules:
                del module.forward

    def _find(self, model: Any) -> None:
        verdicts: dict[Any, bool] = {}
        for module in model.modules():
            kind = type(module)
            if "forward" in vars(module):  # somebody else has replaced it
                continue
            for fused in (_fused_norm(module), _fused_mlp(module)):
                if fused is None:
                    continue
                key = kind, tuple(vars(module).get("_parameters") or ()), getattr(module, "hidden_size", None)
                if key not in verdicts:
                    verdicts[key] = _same(module, fused, model)
                if verdicts[key]:
                    self._modules.append((module, fused))
            names = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else {}
            if hasattr(module, "q_proj") and _ROTARY in names and id(names) not in verdicts:
                own = names[_ROTARY]
                verdicts[id(names)] = _turns_alike(own, model)
                if verdicts[id(names)]:
                    self._functions.append((names, _fused_rotation(own)))


def _fused_norm(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Returns a root-mean-square norm's forward pass with the kernel; None for other modules."""
    from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import rms_norm

    parameters = dict(module.named_parameters(recurse=False))
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not type(module).__name__.endswith("RMSNorm") or list(parameters) != ["weight"] or not epsilon:
        return None
    weight = parameters["weight"]

    def forward(hidden_states: torch.Tensor) -> torch.Tensor:
        if hidden_states.dtype != weight.dtype:
            return type(module).forward(module, hidden_states)
        return rms_norm(hidden_states, weight, float(epsilon))

    return forward


def _fused_mlp(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Returns a gated MLP's forward pass with the kernel; None for other modules."""
    from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import silu_gate

    gate, up, down = (getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj"))
    if gate is None or up is None or down is None or len(list(module.children())) != 4:
        return None  # the fourth is the activation

    def forward(x: torch.Tensor) -> torch.Tensor:
        return down(silu_gate(gate(x), up(x)))

    return forward


def _fused_rotation(own: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function in the signature of transformers that turns queries and keys with the kernel if it can."""
    from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import rotate

    def turned(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *more: Any, **named: Any) -> Any:
        plain = not more and not named and q.dtype == k.dtype == cos.dtype == sin.dtype and cos.ndim == 3
        if not plain or cos.shape[-1] != q.shape[-1] or q.stride(-1) != 1 or k.stride(-1) != 1:
            return own(q, k, cos, sin, *more, **named)
        return rotate(q, k, cos, sin)

    return turned


def _same(module: torch.nn.Module, fused: Callable[[torch.Tensor], torch.Tensor], model: Any) -> bool:
    """Returns whether a module's own result is the kernel's, within the rounding of its type."""
    width = getattr(module, "hidden_size", None) or model.config.get_text_config().hidden_size
    weight = module._parameters.get("weight")
    width = len(weight) if weight is not None else width
    states = torch.randn(3, 2, width, generator=torch.Generator().manual_seed(0)).to(model.device, model.dtype)
    return _close(lambda: module(states), lambda: fused(states), model.dtype)


def _turns_alike(own: Callable[..., Any], model: Any) -> bool:
    """Returns whether a rotation's own result is the kernel's."""
    from synthetic_instruction_tuner.engines.transformers.gpu.layer_kernels import rotate

    draw = torch.Generator().manual_seed(0)
    query, key, cosine, sine = (
        torch.randn(*shape, generator=draw).to(model.device, model.dtype)
        for shape in ((2, 4, 3, 16), (2, 2, 3, 16), (2, 3, 16), (2, 3, 16))
    )
    return _close(
        lambda: torch.cat(own(query, key, cosine, sine), 1), lambda: torch.cat(rotate(query, key, cosine, sine), 1),
        model.dtype,
    )  # fmt: skip


def _close(own: Callable[[], torch.Tensor], fused: Callable[[], torch.Tensor], dtype: torch.dtype) -> bool:
    try:
        wanted, got = own(), fused()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # another signature, or a GPU for which the kernel cannot be built
        return False
    if wanted.shape != got.shape or wanted.dtype != got.dtype:
        return False
    limit = _HALF_A_DIGIT[dtype] * float(wanted.abs().max())
    return bool((wanted.float() - got.float()).abs().max() <= limit)
