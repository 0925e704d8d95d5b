"""The pass of a Llama-like model over a packed row, from token ids to the hidden states that are scored.

It reads the model's own modules and weights, and LoRA's, and computes what they compute: Llama, Mistral (with its
window), Qwen2 and Qwen3. `unsupported` says why a model is not among them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import rms_norm, silu
from torch.utils.checkpoint import checkpoint

from synthetic_instruction_tuner.training.packed.attention import Kernel, attend, kernel_for
from synthetic_instruction_tuner.training.packed.packs import Pack, Stretches
from synthetic_instruction_tuner.training.packed.recomputed_linears import LoraLinear, linears

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_LINEARS = (("self_attn", ("q_proj", "k_proj", "v_proj", "o_proj")), ("mlp", ("gate_proj", "up_proj", "down_proj")))
_SEEDS = 4  # dropout masks of a layer: before queries, keys and values; the output; gate and up; down


class Unsupported(Exception):
    """A model or adapter that the packed pass does not compute; the message says why."""


class Decoder:
    """The packed pass of one model.

    Attributes:
        checkpointing: whether layers are computed again in the backward pass; only their inputs are then kept.
        kernel: the attention that is used.
    """

    def __init__(self, model: Any, checkpointing: bool) -> None:
        """Finds the model's parts.

        Args:
            model: a PEFT model.
            checkpointing: whether to compute layers again in the backward pass.

        Raises:
            Unsupported: the pass does not compute this model, or this adapter.
        """
        self.model, self.checkpointing = model, checkpointing
        causal = model.get_base_model()
        if causal.config.model_type not in FAMILIES:
            raise Unsupported(f"the architecture {causal.config.model_type} is not among {', '.join(FAMILIES)}")
        self.inner, self.head = causal.model, causal.lm_head
        if type(self.head) is not torch.nn.Linear or self.head.bias is not None:
            raise Unsupported("its output layer is adapted, quantized or has a bias")
        self.layers = [_Layer(layer) for layer in self.inner.layers]
        self.norm = _Norm(self.inner.norm)
        first = self.layers[0].attention
        weight = self.inner.embed_tokens.weight
        shape = causal.config.num_attention_heads, causal.config.num_key_value_heads, first.head_dim
        windows = [layer.window for layer in self.layers if layer.window is not None]
        self.kernel: Kernel = kernel_for(weight.device, weight.dtype, *shape, min(windows, default=None))

    def hidden(self, pack: Pack, seeds: torch.Generator | None = None) -> torch.Tensor:
        """Returns the last hidden states of the positions that are scored, normed, [scored, width].

        Args:
            pack: the row, on the model's device.
            seeds: where dropout's seeds come from; torch's own random numbers if None.
        """
        x = self.inner.embed_tokens(pack.ids)
        if len(pack.virtual):
            prompt = self.model.get_prompt(1)[0].to(x.dtype)
            x = x.index_copy(0, pack.virtual, prompt.repeat(len(pack.virtual) // len(prompt), 1))
        cos, sin = self.inner.rotary_emb(x[None], pack.positions[None])
        turn = cos[0, :, None, : cos.shape[-1] // 2], sin[0, :, None, : sin.shape[-1] // 2]
        drawn = torch.randint(2**62, (len(self.layers), _SEEDS), generator=seeds).tolist()
        for layer, own in zip(self.layers, drawn, strict=True):
            arguments = (x, turn, pack.stretches, self.kernel, own)
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer.forward, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                x = layer.forward(*arguments)
        return self.norm(x[pack.sources])


class _Norm:
    """A model's RMS norm, in one kernel."""

    def __init__(self, module: Any) -> None:
        self.weight, self.eps = module.weight, module.variance_epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class _Layer:
    """A decoder layer: attention and MLP, each behind a norm."""

    def __init__(self, layer: Any) -> None:
        self.attention, self.mlp = layer.self_attn, layer.mlp
        if not isinstance(self.mlp.act_fn, (torch.nn.SiLU, type(_silu_module()))):
            raise Unsupported(f"its activation is {type(self.mlp.act_fn).__name__}")
        self.norm, self.mlp_norm = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self.head_norms = [
            _Norm(getattr(self.attention, n)) for n in ("q_norm", "k_norm") if hasattr(self.attention, n)
        ]
        config = self.attention.config
        self.window: int | None = getattr(
            self.attention, "sliding_window", config.sliding_window if config.model_type == "mistral" else None
        )
        for part, names in _LINEARS:
            for name in names:
                _lora(getattr(getattr(layer, part), name))  # raises where it is of another kind

    def forward(
        self,
        x: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        stretches: Stretches,
        kernel: Kernel,
        seeds: list[int],
    ) -> torch.Tensor:
        """Returns the layer's output, [length, width]."""
        a, m = self.attention, self.mlp
        three = [_lora(layer) for layer in (a.q_proj, a.k_proj, a.v_proj)]
        q, k, v = (y.view(len(x), -1, a.head_dim) for y in linears(self.norm, (x,), three, seeds[0]))
        if self.head_norms:
            q, k = (norm(y) for norm, y in zip(self.head_norms, (q, k), strict=True))
        mixed = attend(kernel, _turned(q, *turn), _turned(k, *turn), v, stretches, a.scaling, self.window)
        x = x + linears(_same, (mixed.reshape(len(x), -1),), [_lora(a.o_proj)], seeds[1])[0]
        gate, up = linears(self.mlp_norm, (x,), [_lora(m.gate_proj), _lora(m.up_proj)], seeds[2])
        return x + linears(_gated, (gate, up), [_lora(m.down_proj)], seeds[3])[0]


def _same(x: torch.Tensor) -> torch.Tensor:
    return x.view_as(x)


def _gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return silu(gate) * up


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Returns queries or keys turned by their positions (rotary embedding), [length, heads, width]."""
    a, b = x.chunk(2, -1)
    return torch.cat([torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)], -1)


def _silu_module() -> torch.nn.Module:
    from transformers.activations import ACT2FN

    module: torch.nn.Module = ACT2FN["silu"]
    return module


def _lora(module: Any) -> LoraLinear:
    """Returns a linear layer with its LoRA, whose matrices and dropout are read anew in every pass.

    Raises:
        Unsupported: it is no linear layer, or its adapter is more than LoRA.
    """
    layer = module.get_base_layer() if hasattr(module, "base_layer") else module
    if not isinstance(layer, torch.nn.Linear):
        raise Unsupported(f"a layer is a {type(layer).__name__}, not a linear one")
    if layer is module:
        return LoraLinear(layer)
    names = [name for name in module.active_adapters if name in module.lora_A]
    if module.disable_adapters or not names:
        return LoraLinear(layer)
    (name,) = names
    down, up, dropout = module.lora_A[name], module.lora_B[name], module.lora_dropout[name]
    if getattr(module, "lora_variant", {}).get(name) or up.bias is not None or down.bias is not None:
        raise Unsupported("its adapter is more than two matrices beside a linear layer")
    share = dropout.p if isinstance(dropout, torch.nn.Dropout) and dropout.training else 0.0
    return LoraLinear(layer, down.weight, up.weight, module.scaling[name], share)
