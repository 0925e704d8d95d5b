"""From profiles, files and overrides to one checked configuration.

Layers, later ones win: profile (packaged YAML), the user's YAML file, ``--set a.b=c``, ``--limit``. An unknown key or a
wrong value stops here, before anything is loaded, and names the nearest valid key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from .errors import UserError
from .settings import (
    EngineConfig,
    EvaluateConfig,
    FilterConfig,
    GenerateConfig,
    ModelsConfig,
    PreferConfig,
    ReportConfig,
    Section,
    TrainConfig,
)


class Config(Section):
    """The whole, resolved configuration of a run."""

    profile: str = Field(description="Name of the profile that it starts from.")
    description: str = Field("", description="What the profile is for, in one line.")
    seed: int = Field(17, ge=0, description="Fixes every random choice of the run.")
    limit: int | None = Field(None, ge=1, description="Cut every count to at most this; for trying things out.")
    models: ModelsConfig = Field(description="The models.")
    engine: EngineConfig = Field(EngineConfig(), description="What runs models for text.")
    generate: GenerateConfig = Field(GenerateConfig(), description="Stage generate.")
    filter: FilterConfig = Field(FilterConfig(), description="Stage filter.")
    prefer: PreferConfig = Field(PreferConfig(), description="Stage prefer.")
    train: TrainConfig = Field(TrainConfig(), description="Stages sft, prompt_tuning and dpo.")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="Stage evaluate.")
    report: ReportConfig = Field(ReportConfig(), description="Stage report.")

    def limited(self) -> Config:
        """Returns the configuration with every count cut to `limit`."""
        if self.limit is None:
            return self
        n = self.limit
        ev = self.evaluate
        return self.model_copy(
            update={
                "generate": self.generate.model_copy(update={"count": min(n, self.generate.count)}),
                "filter": self.filter.model_copy(update={"keep": min(n, self.filter.keep or n)}),
                "prefer": self.prefer.model_copy(update={"pairs": min(n, self.prefer.pairs)}),
                "evaluate": ev.model_copy(
                    update={k: min(n, getattr(ev, k)) for k in ("ifeval_items", "mmlu_items", "mt_items")}
                ),
            }
        )

    def as_json(self) -> str:
        """Returns the configuration as indented JSON, as it stands in a run's config.json."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def load_config(
    profile: str = "nano",
    file: Path | None = None,
    overrides: Iterable[str] = (),
    limit: int | None = None,
) -> Config:
    """Returns the configuration that the layers make together.

    Args:
        profile: name of a packaged profile; a ``profile:`` line in the file wins over the default.
        file: the user's YAML file.
        overrides: texts such as ``filter.min_words=10``; values are read as YAML.
        limit: cuts every count, as the setting ``limit``.

    Raises:
        UserError: unknown profile, unreadable file, unknown key or wrong value.
    """
    user = _read_yaml(file) if file else {}
    data = profile_data(str(user.pop("profile", profile)))
    _merge(data, user)
    for text in overrides:
        _override(data, text)
    if limit is not None:
        data["limit"] = limit
    return parse_config(data).limited()


def parse_config(data: Mapping[str, Any]) -> Config:
    """Returns the configuration that plain values describe; used for files, overrides and a run's config.json."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise _explain(error, data) from None


def profile_names() -> list[str]:
    """Returns the packaged profiles' names."""
    folder = resources.files(__package__) / "profiles"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def profile_data(name: str) -> dict[str, Any]:
    """Returns a packaged profile's values."""
    if name not in profile_names():
        known = ", ".join(profile_names())
        raise UserError(f"There is no profile '{name}'.", f"Profiles: {known}.", f"Use --profile {_nearest(name, profile_names()) or 'nano'}.")
    text = (resources.files(__package__) / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    return {"profile": name} | (yaml.safe_load(text) or {})


def fingerprint(*parts: object) -> str:
    """Returns a short hash of JSON-able values and pydantic models, the same on every machine."""
    plain = [p.model_dump(mode="json") if isinstance(p, BaseModel) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, default=lambda m: m.model_dump(mode="json"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The configuration file {file} cannot be read.", str(error.strerror or error)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"The configuration file {file} is not valid YAML.", " ".join(str(error).split())) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"The configuration file {file} must hold keys and values.", f"It holds a {type(data).__name__}.")
    return data


def _merge(base: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict) and key != "domains":
            _merge(base[key], value)
        else:
            base[key] = value


def _override(data: dict[str, Any], text: str) -> None:
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        raise UserError(f"--set {text} is not understood.", "It must be a key, '=' and a value.", "Write for example --set filter.min_words=10")
    try:
        value = yaml.safe_load(raw)
        if isinstance(value, str):
            value = _number(value)
    except yaml.YAMLError:
        value = raw
    keys = path.strip().split(".")
    place: Any = data
    for i, key in enumerate(keys):
        if isinstance(place, list):
            if not key.isdigit() or int(key) >= len(place):
                raise UserError(f"--set {text}: there is no '{key}' in {'.'.join(keys[:i])}.", f"It is a list of {len(place)}; count from 0.")
            key = int(key)  # type: ignore[assignment]
        elif not isinstance(place, dict):
            place = None
        if place is None:
            raise UserError(f"--set {text}: {'.'.join(keys[:i])} has no keys below it.", "It holds a single value.")
        if i == len(keys) - 1:
            place[key] = value
        else:
            place = place[key] if isinstance(place, list) else place.setdefault(key, {})


def _number(text: str) -> str | float:
    """Reads 2e-4, which YAML 1.1 takes for text."""
    try:
        return float(text) if text.strip()[:1] in "+-.0123456789" else text
    except ValueError:
        return text


def _explain(error: ValidationError, data: Mapping[str, Any]) -> UserError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(p) for p in first["loc"])
    more = f" ({error.error_count() - 1} more after this)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        valid = valid_keys()
        parent = ".".join(str(p) for p in first["loc"][:-1])
        siblings = [k for k in valid if k.rpartition(".")[0] == parent]
        near = _nearest(where, valid) or _nearest(where.rpartition(".")[2], [s.rpartition(".")[2] for s in siblings])
        fix = f"Did you mean '{near}'?" if near else f"Keys there: {', '.join(s.rpartition('.')[2] for s in siblings) or 'none'}."
        return UserError(f"There is no setting '{where}'.{more}", "The key is unknown.", fix)
    if first["type"] == "missing":
        return UserError(f"The setting '{where}' is missing.{more}", "It has no default.", "Name it in your file, or start from a profile.")
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(first["input"], (dict, BaseModel)) else f", got {first['input']!r}"
    return UserError(f"The setting '{where}' has a wrong value.{more}", f"{message}{shown}.", f"See 'sit plan --profile {data.get('profile', 'nano')}' for what it may be.")


def _nearest(word: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def valid_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Returns every setting's dotted key."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += valid_keys(field.annotation, f"{prefix}{name}.")
    return keys
