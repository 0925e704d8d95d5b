"""Error messages for an invalid configuration: which key, why, and what was probably meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synthetic_instruction_tuner.config.yaml_text import plain_value
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.web_addresses import without_secrets

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

SHORT_NAMES = {"lr": "learning_rate", "rank": "r"}
"""Names of the field that are not near enough to the setting's."""

FORMER_KEYS = {
    "evaluate.ifeval_items": "evaluate.nano_ifeval.items",
    "evaluate.mmlu_items": "evaluate.nano_mmlu.items",
    "evaluate.mt_items": "evaluate.nano_mt.items",
    "evaluate.mt_temperature": "evaluate.nano_mt.temperature",
    "evaluate.max_new_tokens": "evaluate.nano_ifeval.max_new_tokens' and 'evaluate.nano_mt.max_new_tokens",
}
"""Settings that have moved to another section."""


PLAIN = {
    "too_short": "It must have at least one entry",
    "tuple_type": "It must be a list",
    "dict_type": "It must be a section: settings below it, each with its value",
    "model_type": "It must be a section: settings below it, each with its value",
    "string_type": "It must be a text",
}
"""What pydantic says in the words of Python."""

FORMER_VALUES = {("device", "gpu"): "cuda", ("lr_scheduler_type", "constant"): "constant_with_warmup"}
"""Former and mistaken values of settings, by the setting's present name."""


def explain(
    error: ValidationError, root: type[BaseModel], places: Mapping[Place, str] | None = None
) -> list[UserError]:
    """Returns the mistakes to show: first the unknown keys, then the others in the order of the settings.

    Args:
        error: what pydantic has found.
        root: the class of the whole configuration.
        places: where the user has written a setting, such as ``my.yaml, line 3``.
    """
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    inner = {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    own = [one for one in found if one["type"] != "too_short" or one["loc"] not in inner]  # short for lack of those
    return [_mistake(one, root, _where(one["loc"], places or {})) for one in own]


def _mistake(found: ErrorDetails, root: type[BaseModel], place: str) -> UserError:
    loc, kind = found["loc"], found["type"]
    where = ".".join(str(p) for p in loc) or "the configuration"
    if kind == "extra_forbidden":
        return UserError(f"There is no setting '{where}'{place}.", "The key is unknown.", _suggestion(loc, root))
    if kind == "missing":
        fix = "Name it in your file, or start from a profile."
        return UserError(f"The setting '{where}' is missing{place}.", "It has no default.", fix)
    problem = f"The setting '{where}' has an invalid value{place}."
    value = found["input"]
    # The user may have put the key where its variable's name belongs, or into an address.
    secret = loc[-1:] in (("api_key_env",), ("url",)) or without_secrets(str(value)) != str(value)
    cause = PLAIN.get(kind) or found["msg"].removeprefix("Value error, ")
    plain = not secret and not isinstance(value, (dict, BaseModel)) and repr(value) not in cause
    shown = f", got {_short(value)}" if plain else ""
    if not set(cause.partition(" ")[0]) & set("_."):  # the name of a setting stays as it is
        cause = cause[:1].upper() + cause[1:]
    return UserError(problem, f"{cause.rstrip('.')}{shown}.", _fix(found, where, root, secret))


def _fix(found: ErrorDetails, where: str, root: type[BaseModel], secret: bool) -> str:
    loc, value = found["loc"], found["input"]
    former = FORMER_VALUES.get((str(loc[-1]), str(value))) if loc else None
    choices = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
    if near := former or (nearest(value.lower(), choices) if choices and isinstance(value, str) else None):
        return f"Did you mean '{near}'?"
    if isinstance(value, str) and not secret and (meant := _meant(value, loc, root)):
        return f"Write {meant}."
    if isinstance(value, str) and found["type"] == "tuple_type" and not secret:
        return f"Write a list: --set '{where}=[{_short(value)[1:-1]}]'"
    if found["type"] == "string_type" and isinstance(value, (int, float)) and not secret:
        return f"A text that looks like a number needs two pairs of quotes: --set '{where}=\"{value}\"'"
    if _section(loc, root) and found["type"] == "value_error" and isinstance(value, (dict, BaseModel)):
        return "Change one of these settings."
    meaning = _meaning(loc, root)
    return f"{where}: {meaning}" if meaning else "See 'sit plan --settings' for the whole configuration."


def _meant(text: str, loc: Place, root: type[BaseModel]) -> str:
    """What a switch or a number that is written in another way means, if that is certain; else an empty text."""
    model = _section(loc[:-1], root)
    field = model.model_fields.get(str(loc[-1])) if model and loc else None
    kinds = {field.annotation, *get_args(field.annotation)} if field else set()
    if bool in kinds:
        return {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), "")
    plain = plain_value(text.replace("_", ""))
    if kinds & {int, float} and type(plain) in (int, float) and math.isfinite(plain):
        return f"{plain}, without quotes" if "_" not in text else f"{plain}"
    return ""


def _where(loc: Place, places: Mapping[Place, str]) -> str:
    """Where the user has written this setting, or the part that it is in; empty if that is nowhere."""
    found = next((places[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in places), "")
    return f" ({found})" if found else ""


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
    if "." in name and (first := name.partition(".")[0]) in root.model_fields and not parent:
        return f"In a YAML file write '{first}:' and the rest below it, indented; dots are for --set."
    if moved := FORMER_KEYS.get(f"{parent}.{name}"):
        return f"Did you mean '{moved}'?"
    model = _section(loc[:-1], root)
    siblings = list(model.model_fields) if model else []
    former = (FORMER_NAMES | SHORT_NAMES).get(
        name, "max_model_len" if (parent, name) == ("engine", "max_length") else ""
    )
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


def shortened(text: str) -> str:
    """Returns a text that is short enough for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def _short(value: object) -> str:
    return shortened(repr(value))
