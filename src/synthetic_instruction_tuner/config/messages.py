"""Error messages for an invalid configuration: which key, why, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import get_args

from pydantic import BaseModel, ValidationError

from synthetic_instruction_tuner.errors import UserError

Place = tuple[int | str, ...]

FORMER_NAMES = {
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "accumulation": "gradient_accumulation_steps",
    "warmup_share": "warmup_ratio",
    "schedule": "lr_scheduler_type",
    "checkpoint_steps": "save_steps",
    "log_steps": "logging_steps",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "virtual_tokens": "num_virtual_tokens",
    "init_text": "prompt_tuning_init_text",
    "gpu_share": "gpu_memory_utilization",
    "retries": "max_retries",
    "similarity": "near_duplicate_threshold",
    "refusals": "refusal_phrases",
    "reward_floor": "min_reward",
}
"""Former names of settings, before they took the names of Transformers, PEFT, TRL and vLLM."""

FORMER_KEYS = {
    "evaluate.ifeval_items": "evaluate.nano_ifeval.items",
    "evaluate.mmlu_items": "evaluate.nano_mmlu.items",
    "evaluate.mt_items": "evaluate.nano_mt.items",
    "evaluate.mt_temperature": "evaluate.nano_mt.temperature",
    "evaluate.max_new_tokens": "evaluate.nano_ifeval.max_new_tokens' and 'evaluate.nano_mt.max_new_tokens",
}
"""Settings that have moved to another section."""


FORMER_VALUES = {("lr_scheduler_type", "constant"): "constant_with_warmup"}
"""Former values of settings, by the setting's present name."""


def explain(error: ValidationError, root: type[BaseModel]) -> UserError:
    """Returns the error to show: the first unknown key with the nearest valid one, else the first invalid value."""
    found = error.errors(include_url=False)
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    where = ".".join(str(p) for p in first["loc"]) or "the configuration"
    more = f" ({len(found) - 1} more after this)" if len(found) > 1 else ""
    if first["type"] == "extra_forbidden":
        fix = _suggestion(first["loc"], root)
        return UserError(f"There is no setting '{where}'.{more}", "The key is unknown.", fix)
    if first["type"] == "missing":
        fix = "Name it in your file, or start from a profile."
        return UserError(f"The setting '{where}' is missing.{more}", "It has no default.", fix)
    secret = first["loc"][-1:] == ("api_key_env",)  # the user may have put the key where its variable's name belongs
    shown = "" if secret or isinstance(first["input"], (dict, BaseModel)) else f", got {_short(first['input'])}"
    cause = f"{first['msg'].removeprefix('Value error, ')}{shown}."
    meaning = _meaning(first["loc"], root)
    former = FORMER_VALUES.get((str(first["loc"][-1]), str(first["input"]))) if first["loc"] else None
    if former:
        return UserError(f"The setting '{where}' has an invalid value.{more}", cause, f"Did you mean '{former}'?")
    fix = f"{where}: {meaning}" if meaning else "See 'sit plan --settings' for the whole configuration."
    if first["type"] == "string_type" and isinstance(first["input"], (int, float)) and not secret:
        fix = f"A text that looks like a number needs two pairs of quotes: --set '{where}=\"{first['input']}\"'"
    return UserError(f"The setting '{where}' has an invalid value.{more}", cause, fix)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that is most like this one, or None when none is."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def valid_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Returns every setting's dotted key; those of list entries and domains are not among them."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += valid_keys(field.annotation, f"{prefix}{name}.")
    return keys


def _suggestion(loc: Place, root: type[BaseModel]) -> str:
    """The nearest valid key: first among the siblings of the unknown one, then keys of that name elsewhere."""
    parent, name = ".".join(str(p) for p in loc[:-1]), str(loc[-1])
    if moved := FORMER_KEYS.get(f"{parent}.{name}"):
        return f"Did you mean '{moved}'?"
    model = _section(loc[:-1], root)
    siblings = list(model.model_fields) if model else []
    former = FORMER_NAMES.get(name, "max_model_len" if (parent, name) == ("engine", "max_length") else "")
    if near := former if former in siblings else nearest(name, siblings):
        return f"Did you mean '{parent + '.' if parent else ''}{near}'?"
    same = [key for key in valid_keys(root) if key.rpartition(".")[2] == name]
    if found := nearest(f"{parent}.{name}", same) or next(iter(same), None):
        return f"Did you mean '{found}'?"
    return f"Valid keys: {', '.join(siblings) or 'none'}."


def _section(loc: Place, root: type[BaseModel]) -> type[BaseModel] | None:
    """The class of the section at a place such as ``models.students.0``."""
    model: type[BaseModel] | None = root
    repeated = False
    for part in loc:
        if repeated:  # a list's position or a domain's name
            repeated = False
            continue
        field = model.model_fields.get(str(part)) if model else None
        if field is None:
            return None
        inner = [field.annotation, *get_args(field.annotation)]  # tuple[ModelConfig, ...], dict[str, DomainConfig]
        model = next((k for k in inner if isinstance(k, type) and issubclass(k, BaseModel)), None)
        repeated = model is not field.annotation
    return model


def _meaning(loc: Place, root: type[BaseModel]) -> str:
    model = _section(loc[:-1], root)
    field = model.model_fields.get(str(loc[-1])) if model and loc else None
    return (field.description or "") if field else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
