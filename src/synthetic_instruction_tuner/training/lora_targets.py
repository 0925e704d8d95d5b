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
from transformers.pytorch_utils import Conv1D

from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.errors import UserError

ROUTERS = {"gate", "router", "shared_expert_gate"}  # they choose experts; a small change of them changes everything
# What PEFT takes for the names of experts in models that have some, whichever layers are meant.
OF_EXPERTS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
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
        return [f"LoRA {self.describe()}"] if self.found or self.missing else []


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
    chosen = [name for name in linear if _why_not(name, model) is None]
    if not chosen:
        raise UserError(
            "LoRA finds nothing to adapt.",
            f"the model ({model.config.model_type}) has no linear layers outside of experts and its output layer",
            "Use another student, or name modules in train.sft.lora.target_modules.",
        )
    why = {_why_not(name, model) for name in linear} - {None}
    if _has_experts(model):
        why.add("experts")
    names = _endings(chosen, set(modules) - set(chosen))
    return Targets(names, len(chosen), left_out=tuple(sorted(map(str, why))), found=True)


def _why_not(name: str, model: Any) -> str | None:
    """Returns what kind of layer this is, if it is not adapted."""
    parts = name.split(".")
    if "experts" in parts:
        return "experts"
    if parts[-1] in OF_EXPERTS and _has_experts(model):
        return parts[-1]
    if parts[-1] in ROUTERS:
        return "routers"
    if parts[-1] == UNTRAINED:
        return f"{UNTRAINED} layers"
    if model.config.model_type in STATE_MODELS and parts[-1] in STATE_LAYERS:
        return parts[-1]
    return "layers for other than text" if OTHER_SENSES.search(name) else None


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
    modules = dict(model.named_modules())
    matches = {name: [m for m in modules if m == name or m.endswith(f".{name}")] for name in wanted}
    matched = [m for names in matches.values() for m in names]
    known = _all_linear(model).names
    fix = f"Set train.sft.lora.target_modules to auto, or to some of {', '.join(known[:12])}."
    if not matched:
        near = nearest(wanted[0], known)
        raise UserError(
            f"LoRA finds nothing to adapt: {', '.join(wanted)}.",
            f"the model ({model.config.model_type}) has no modules of these names",
            f"Did you mean {near}? {fix}" if near else fix,
        )
    for name in matched:
        state = model.config.model_type in STATE_MODELS and name.rsplit(".", 1)[-1] in STATE_LAYERS
        if state or not isinstance(modules[name], _ADAPTABLE):
            kind = type(modules[name]).__name__
            raise UserError(f"LoRA cannot adapt {name}.", f"it is a {kind} in a {model.config.model_type} model", fix)
    return Targets(tuple(wanted), len(set(matched)), tuple(name for name, found in matches.items() if not found))
