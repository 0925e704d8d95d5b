"""The pass of a Llama-like model over a packed row, from token ids to the hidden states that are scored.

It reads the model's own modules and weights, and LoRA's, and computes what they compute: Llama, Mistral (with its
window), Qwen2 and Qwen3. `Unsupported` says why a model is not among them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from synthetic_instruction_tuner.models.families import PLAIN_DECODERS
from synthetic_instruction_tuner.training.packed.attention import Kernel, attend, kernel_for
from synthetic_instruction_tuner.training.packed.kernels import Gated, Norm, Same, turned
from synthetic_instruction_tuner.training.packed.packs import Pack, Stretches
from synthetic_instruction_tuner.training.packed.recomputed_linears import LoraLinears, copy_adapters

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
        if causal.config.model_type not in PLAIN_DECODERS:
            raise Unsupported(f"the architecture {causal.config.model_type} is not among {', '.join(PLAIN_DECODERS)}")
        if getattr(causal.config, "attention_dropout", 0.0):
            raise Unsupported("its attention has dropout")
        self.inner, self.head = causal.model, causal.lm_head
        if type(self.head) is not torch.nn.Linear or self.head.bias is not None:
            raise Unsupported("its output layer is adapted, quantized or has a bias")
        weight = self.inner.embed_tokens.weight
        self.layers = [_Layer(layer, weight.dtype) for layer in self.inner.layers]
        self.norm = _norm(self.inner.norm)
        width = self.layers[0].attention.head_dim
        shape = causal.config.num_attention_heads, causal.config.num_key_value_heads, width
        windows = [layer.window for layer in self.layers if layer.window is not None]
        self.kernel: Kernel = kernel_for(weight.device, weight.dtype, *shape, min(windows, default=None))

    @property
    def kernel_name(self) -> str:
        """What computes attention, in words."""
        return str(self.kernel.__name__).replace("_", " ")

    def hidden(self, pack: Pack, seeds: torch.Generator | None = None) -> torch.Tensor:
        """Returns the last hidden states of the positions that are scored, normed, [scored, width].

        Args:
            pack: the row, on the model's device.
            seeds: where dropout's seeds come from; torch's own random numbers if None.
        """
        copy_adapters([group for layer in self.layers for group in layer.groups])
        x = self.inner.embed_tokens(pack.ids).detach()
        if len(pack.virtual):
            prompt = self.model.get_prompt(1)[0].to(x.dtype)
            x = x.index_copy(0, pack.virtual, prompt.repeat(len(pack.virtual) // len(prompt), 1))
        cos, sin = (part[0, :, None] for part in self.inner.rotary_emb(x[None], pack.positions[None]))
        drawn = torch.randint(2**62, (len(self.layers), _SEEDS), generator=seeds).tolist()
        for layer, own in zip(self.layers, drawn, strict=True):
            arguments = (x, cos, sin, pack.stretches, self.kernel, own)
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer.forward, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                x = layer.forward(*arguments)
        return self.norm(x.index_select(0, pack.sources))


class _Layer:
    """A decoder layer: attention and MLP, each behind a norm."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        self.attention, mlp = layer.self_attn, layer.mlp
        if not isinstance(mlp.act_fn, _silu_modules()):
            raise Unsupported(f"its activation is {type(mlp.act_fn).__name__}")
        self.norm, self.mlp_norm = _norm(layer.input_layernorm), _norm(layer.post_attention_layernorm)
        a = self.attention
        self.head_norms = [_norm(getattr(a, name)) for name in ("q_norm", "k_norm") if hasattr(a, name)]
        of_all = a.config.sliding_window if a.config.model_type == "mistral" else None
        self.window: int | None = getattr(a, "sliding_window", of_all)
        together = ((a.q_proj, a.k_proj, a.v_proj), (a.o_proj,), (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,))
        self.groups = [_group(modules, dtype) for modules in together]

    def forward(
        self,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        stretches: Stretches,
        kernel: Kernel,
        seeds: list[int],
    ) -> torch.Tensor:
        """Returns the layer's output, [length, width]."""
        of_input, of_mixed, of_middle, of_gated = self.groups
        q, k, v = (y.view(len(x), -1, self.attention.head_dim) for y in of_input(self.norm, (x,), seeds[0]))
        if self.head_norms:
            q, k = (norm(y) for norm, y in zip(self.head_norms, (q, k), strict=True))
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        mixed = attend(kernel, q, k, v, stretches, self.attention.scaling, self.window)
        x = x + of_mixed(Same(), (mixed.reshape(len(x), -1),), seeds[1])[0]
        gate_and_up = of_middle(self.mlp_norm, (x,), seeds[2])
        return x + of_gated(Gated(), gate_and_up, seeds[3])[0]


def _norm(module: Any) -> Norm:
    return Norm(module.weight, module.variance_epsilon)


def _silu_modules() -> tuple[type, ...]:
    from transformers.activations import ACT2FN

    return torch.nn.SiLU, type(ACT2FN["silu"])


def _group(modules: tuple[Any, ...], dtype: torch.dtype) -> LoraLinears:
    """Returns linear layers that read the same input, with their LoRA.

    Raises:
        Unsupported: one is no linear layer, or its adapter is more than LoRA.
    """
    layers, adapted, scales, dropouts = [], [], [], {}
    for module in modules:
        layer = module.get_base_layer() if hasattr(module, "base_layer") else module
        if not isinstance(layer, torch.nn.Linear):
            raise Unsupported(f"a layer is a {type(layer).__name__}, not a linear one")
        name = None if layer is module else _adapter_of(module)
        layers.append(layer)
        adapted.append(None if name is None else (module.lora_A[name].weight, module.lora_B[name].weight))
        scales.append(1.0 if name is None else module.scaling[name])
        if name is not None:
            dropout = module.lora_dropout[name]
            dropouts[getattr(dropout, "p", 0.0)] = dropout if isinstance(dropout, torch.nn.Dropout) else None
    if len(dropouts) > 1:
        raise Unsupported("its adapters have different dropout")
    return LoraLinears(layers, adapted, scales, next(iter(dropouts.values()), None), dtype)


def _adapter_of(module: Any) -> str | None:
    """Returns the name of the adapter that is in use, if any."""
    names = [name for name in module.active_adapters if name in module.lora_A]
    if module.disable_adapters or not names:
        return None
    if len(names) > 1:
        raise Unsupported("it has several adapters at once")
    (name,) = names
    biased = module.lora_A[name].bias is not None or module.lora_B[name].bias is not None
    if biased or getattr(module, "lora_variant", {}).get(name):
        raise Unsupported("its adapter is more than two matrices beside a linear layer")
    return str(name)
