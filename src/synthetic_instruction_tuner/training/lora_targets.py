"""Which layers of a model LoRA adapts: those that the settings name, or all linear layers of its blocks.

Hu et al. 2021 adapt attention alone; Dettmers et al. 2023 (QLoRA, section 4) find that all linear layers are needed to
match full fine-tuning. The names of these layers differ between architectures, so they are looked up in the model: a
loaded one, or one without weights (`models.architecture`), before a run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from transformers.pytorch_utils import Conv1D

from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.errors import UserError

ROUTERS = {"gate", "router", "shared_expert_gate"}  # they choose experts; a small change of them changes everything
# What PEFT may take for the names of experts, whichever layers are meant.
OF_EXPERTS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
# Parts of names: of layers that a language model alone never runs, or through which no gradient reaches an adapter.
IDLE = {
    "encoder_attn": "cross-attention", "crossattention": "cross-attention", "cross_attn": "cross-attention",
    "cross_attention": "cross-attention", "pooler": "poolers", "indexer": "indexers", "router": "routers",
}  # fmt: skip
OTHER_SENSES = re.compile(r"vision|visual|image|audio|speech|multi_?modal")
# PEFT refuses these layers: their kernels read the weights past the adapter.
STATE_MODELS = {"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"}
STATE_LAYERS = {"out_proj", "conv1d"}
UNTRAINED = "dt_proj"  # of state-space layers: read past the adapter everywhere, so that it would learn nothing
_LINEAR = (torch.nn.Linear, Conv1D)
_ADAPTABLE = (*_LINEAR, torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@dataclass(frozen=True, slots=True)
class Targets:
    """What LoRA adapts in a model.

    Attributes:
        names: ends of modules' names, as PEFT takes them.
        layers: how many modules they match.
        missing: those of the settings' names that match none.
        left_out: kinds of layers that were found and are not adapted.
        found: whether the names were looked up in the model; otherwise the settings name them.
    """

    names: tuple[str, ...]
    layers: int
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    found: bool = False

    def describe(self) -> str:
        """Returns what is adapted, as the end of a sentence."""
        names = [name for name in self.names if name not in self.missing]
        left = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        lost = f"; the model has no {', '.join(self.missing)}" if self.missing else ""
        return f"adapts {', '.join(names)}: {self.layers:,} layers{left}{lost}"

    def notes(self) -> list[str]:
        """Returns what the user should be told: nothing, where the model has all that the settings name."""
        return [f"LoRA {self.describe()}"] if self.found or self.missing or self.left_out else []


def find_targets(model: Any, wanted: Sequence[str]) -> Targets:
    """Returns the layers that LoRA adapts.

    Args:
        model: a causal LM, with weights or without.
        wanted: the setting ``train.sft.lora.target_modules``.

    Raises:
        UserError: none of the wanted names is in the model, one is of something that LoRA cannot adapt, or the model
            has no linear layers.
    """
    return _all_linear(model) if tuple(wanted) == ("auto",) else _named(model, wanted)


def _all_linear(model: Any) -> Targets:
    modules = dict(model.named_modules())
    head = model.get_output_embeddings()
    heads = {name for name, module in modules.items() if module is head and head is not None}
    linear = [name for name, module in modules.items() if isinstance(module, _LINEAR) and name not in heads]
    why = {name: _why_not(name, modules[name], model) for name in linear}
    taken = _taken_for_experts(model)
    why |= {name: name.rsplit(".", 1)[-1] for name in linear if name.rsplit(".", 1)[-1] in taken and why[name] is None}
    chosen = [name for name in linear if why[name] is None]
    if not chosen:
        raise UserError(
            "LoRA finds nothing to adapt.",
            f"the model ({model.config.model_type}) has no linear layers outside of experts and its output layer",
            "Use another student, or name modules in train.sft.lora.target_modules.",
        )
    left_out = {reason for reason in why.values() if reason} | ({"experts"} if _has_experts(model) else set())
    names = _endings(chosen, set(modules) - set(chosen))
    return Targets(names, len(chosen), left_out=tuple(sorted(left_out)), found=True)


def _why_not(name: str, module: Any, model: Any) -> str | None:
    """Returns what kind of layer this is, if it is not adapted."""
    parts = name.split(".")
    if "experts" in parts:
        return "experts"
    if parts[-1] in ROUTERS:
        return "routers"
    if idle := next((IDLE[part] for part in parts if part in IDLE), None):
        return idle
    if parts[-1] == UNTRAINED:
        return f"{UNTRAINED} layers"
    if model.config.model_type in STATE_MODELS and parts[-1] in STATE_LAYERS:
        return parts[-1]
    if not _is_plain(module):
        return "layers that are linear within groups"
    return "layers for other than text" if OTHER_SENSES.search(name) else None


def _is_plain(module: Any) -> bool:
    """Returns whether a layer turns each vector into one of its stated size; an architecture may have its own kind."""
    own = isinstance(module, torch.nn.Linear) and type(module).forward is not torch.nn.Linear.forward
    if not own or not type(module).__module__.startswith("transformers.models."):
        return True
    given = torch.zeros(1, 2, module.in_features, device=module.weight.device, dtype=module.weight.dtype)
    try:
        with torch.no_grad():
            return tuple(module(given).shape) == (1, 2, module.out_features)
    except (RuntimeError, ValueError, IndexError):
        return False


def _taken_for_experts(model: Any) -> set[str]:
    """Returns the names that PEFT takes for those of experts: in some families also where a layer has none."""
    config = LoraConfig(target_modules=sorted(OF_EXPERTS))
    convert_peft_config_for_transformers(config, model, None)
    taken = OF_EXPERTS.difference(config.target_modules or ())
    return OF_EXPERTS if _has_experts(model) else taken


def _has_experts(model: Any) -> bool:
    return any("experts" in name.split(".") for name, _ in model.named_modules())


def _endings(chosen: Iterable[str], others: Collection[str]) -> tuple[str, ...]:
    """Returns ends of the chosen names, as short as they can be without being the end of another one."""
    taken = Counter(end for name in others for end in _ends(name))
    return tuple(dict.fromkeys(next((e for e in _ends(name) if not taken[e]), name) for name in chosen))


def _ends(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def _named(model: Any, wanted: Sequence[str]) -> Targets:
    modules, taken = dict(model.named_modules()), _taken_for_experts(model)
    lost = [name for name in wanted if name.rsplit(".", 1)[-1] in taken]
    wanted = [name for name in wanted if name not in lost]
    matches = {name: [m for m in modules if m == name or m.endswith(f".{name}")] for name in wanted}
    matched = [m for names in matches.values() for m in names]
    known = _all_linear(model).names
    fix = f"Set train.sft.lora.target_modules to auto, or to some of {', '.join(known[:12])}."
    if not matched:
        near = nearest(wanted[0], known) if wanted else None
        raise UserError(
            f"LoRA finds nothing to adapt: {', '.join([*wanted, *lost])}.",
            f"the model ({model.config.model_type}) has no modules of these names"
            + (f"; PEFT takes {', '.join(lost)} for names of experts, which are left out" if lost else ""),
            f"Did you mean {near}? {fix}" if near else fix,
        )
    for name in matched:
        state = model.config.model_type in STATE_MODELS and name.rsplit(".", 1)[-1] in STATE_LAYERS
        if state or not isinstance(modules[name], _ADAPTABLE):
            kind = type(modules[name]).__name__
            raise UserError(f"LoRA cannot adapt {name}.", f"it is a {kind} in a {model.config.model_type} model", fix)
    missing = tuple(name for name, found in matches.items() if not found)
    return Targets(tuple(wanted), len(set(matched)), missing, tuple(lost))
