"""From profiles, files and overrides to one checked configuration.

Layers, later ones win: profile (packaged YAML), the user's YAML file, ``--set a.b=c``, ``--limit``. An unknown key or a
wrong value stops here, before anything is loaded, and names the nearest valid key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from .configerrors import explain, nearest
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

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        if self.prefer.scorer == "judge" and self.models.judge is None:
            raise ValueError("prefer.scorer=judge needs models.judge: the chat model that judges")
        share, models = self.prefer.max_chosen_share, len(self.models.responders)
        if self.prefer.on_policy == "off":
            if models * self.prefer.samples < 2:
                raise ValueError("one responder with prefer.samples=1 leaves nothing to compare")
            if share is not None and share * models < 1:
                raise ValueError(f"prefer.max_chosen_share={share} of {models} responders cannot add up to all pairs")
        return self

    def limited(self) -> Config:
        """Returns the configuration with every count cut to `limit`."""
        if self.limit is None:
            return self
        n = self.limit
        ev = self.evaluate
        return self.model_copy(
            update={
                "generate": self.generate.model_copy(
                    update={
                        "count": min(n, self.generate.count),
                        "until_kept": self.generate.until_kept and min(n, self.generate.until_kept),
                    }
                ),
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
    profile: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
    limit: int | None = None,
) -> Config:
    """Returns the configuration that the layers make together.

    Args:
        profile: name of a packaged profile; when None, what the file's ``profile:`` line says, else nano.
        file: the user's YAML file.
        overrides: texts such as ``filter.min_words=10``; values are read as YAML.
        limit: cuts every count, as the setting ``limit``.

    Raises:
        UserError: unknown profile, unreadable file, unknown key or wrong value.
    """
    user = read_yaml(file) if file else {}
    named = user.pop("profile", None) or "nano"
    data = profile_data(str(profile or named))
    _merge(data, user)
    for text in overrides:
        _override(data, text)
    if limit is not None:
        data["limit"] = limit
    return parse_config(data).limited()


def user_settings(file: Path | None, overrides: Iterable[str]) -> dict[str, Any]:
    """Returns the values that the user's own layers set, as nested keys, without those of a profile."""
    data = read_yaml(file) if file else {}
    for text in overrides:
        _override(data, text)
    return data


def parse_config(data: Mapping[str, Any]) -> Config:
    """Returns the configuration that plain values describe; used for files, overrides and a run's config.json."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise explain(error, Config) from None


def profile_names() -> list[str]:
    """Returns the packaged profiles' names."""
    folder = resources.files(__package__) / "profiles"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def profile_data(name: str) -> dict[str, Any]:
    """Returns a packaged profile's values."""
    names = profile_names()
    if name not in names:
        near = nearest(name, names) or "nano"
        raise UserError(f"There is no profile '{name}'.", f"Profiles: {', '.join(names)}.", f"Use --profile {near}.")
    text = (resources.files(__package__) / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    return {"profile": name} | (yaml.safe_load(text) or {})


def fingerprint(*parts: object) -> str:
    """Returns a short hash of JSON-able values and pydantic models, the same on every machine."""
    plain = [p.model_dump(mode="json") if isinstance(p, BaseModel) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, default=lambda m: m.model_dump(mode="json"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_yaml(file: Path) -> dict[str, Any]:
    """Returns the keys and values of a YAML file; a `UserError` says what is wrong with it."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"The configuration file {file} cannot be read.", reason, "Check the path.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or an impossible date
        reason = " ".join(str(error).split())
        raise UserError(
            f"The configuration file {file} is not valid YAML.", reason, "Write 'key: value' lines; indent with spaces."
        ) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise UserError(
            f"The configuration file {file} must hold keys and values.",
            f"It holds a {kind}.",
            "Write for example 'filter: {min_words: 10}'.",
        )
    return data


def _merge(base: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        old = base.get(key)
        if value is None and isinstance(old, dict):
            continue  # a section whose lines are all commented out
        if isinstance(value, Mapping) and isinstance(old, dict) and key != "domains" and "path" not in value:
            _merge(old, value)
        else:  # also another model: nothing of the earlier one, such as its number of weights, holds for it
            base[key] = value


def _override(data: dict[str, Any], text: str) -> None:
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        example = "Write for example --set filter.min_words=10"
        raise UserError(f"--set {text} is not understood.", "It must be a key, '=' and a value.", example)
    keys = path.strip().split(".")
    place: Any = data
    for depth, key in enumerate(keys[:-1]):
        place = _below(place, key, text, keys[:depth])
    if isinstance(place, list):
        place[_position(place, keys[-1], text, keys[:-1])] = _value(raw)
        return
    if keys[-1] == "path" and "path" in place:
        for fact in ("parameters", "license"):  # those of the model that stood there
            place.pop(fact, None)
    place[keys[-1]] = _value(raw)


def _below(place: Any, key: str, text: str, above: list[str]) -> Any:
    """The dict or list under the key, made where there is none; a model's plain path becomes a dict."""
    where: Any = _position(place, key, text, above) if isinstance(place, list) else key
    if isinstance(place, dict) and place.get(key) is None:
        place[key] = {}
    if isinstance(place[where], str) and above[:1] == ["models"]:
        place[where] = {"path": place[where]}
    if not isinstance(place[where], (dict, list)):
        above = [*above, key]
        raise UserError(
            f"--set {text}: {'.'.join(above)} has no keys below it.",
            "It holds a single value.",
            f"Write --set {'.'.join(above)}=VALUE.",
        )
    return place[where]


def _position(place: list[Any], key: str, text: str, above: list[str]) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        where = ".".join(above)
        last = f"{where}.{len(place) - 1}"
        raise UserError(
            f"--set {text}: there is no '{key}' in {where}.",
            f"It is a list of {len(place)}; they count from 0.",
            f"The last is {last}." if place else f"Set {where} as a whole, as a YAML list.",
        )
    return int(key)


def _value(raw: str) -> Any:
    try:
        value = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        return raw
    return _number(value) if value == raw.strip() else value  # not what stood in quotes


def _number(text: str) -> str | float:
    """Reads 2e-4, which YAML 1.1 takes for text."""
    try:
        return float(text) if text.strip()[:1] in "+-.0123456789" else text
    except ValueError:
        return text
