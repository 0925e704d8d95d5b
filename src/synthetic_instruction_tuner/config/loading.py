"""From profiles, files and overrides to one checked configuration.

Layers, later ones win: profile (packaged YAML), the user's YAML file, ``--set a.b=c``, ``--limit``. An unknown key or a
wrong value stops here, before anything is loaded, and names the nearest valid key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from synthetic_instruction_tuner.config.configuration import Config
from synthetic_instruction_tuner.config.messages import explain, nearest
from synthetic_instruction_tuner.errors import UserError


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


def change_config(config: Config, overrides: Iterable[str] = (), limit: int | None = None) -> Config:
    """Returns a run's stored configuration with some settings changed; all others stay as they are.

    Args:
        config: the stored configuration, whose counts are those of an earlier ``limit``, if there was one.
        overrides: as for `load_config`; they may raise a count above that limit.
        limit: cuts every count.

    Raises:
        UserError: unknown key or wrong value, or a limit above the stored one: what was cut is not known any more.
    """
    if limit is not None and config.limit is not None and limit > config.limit:
        raise UserError(
            f"--limit {limit} cannot raise the limit of {config.limit} that this run was started with.",
            "The counts were cut then; what they were is not stored.",
            "Name the settings anew with --profile or --config and this limit, or set a count with --set.",
        )
    data = config.model_dump(mode="json")
    for text in overrides:
        _override(data, text)
    if limit is None:
        return parse_config(data)
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
        else:  # also for another model, to which nothing of the earlier one applies, such as its size
            base[key] = value


def _override(data: dict[str, Any], text: str) -> None:
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        example = "Write for example --set filter.min_words=10"
        raise UserError(f"--set {text} cannot be parsed.", "It must be a key, '=' and a value.", example)
    keys = path.strip().split(".")
    place: Any = data
    for depth, key in enumerate(keys[:-1]):
        place = _below(place, key, text, keys[:depth])
    if isinstance(place, list):
        place[_position(place, keys[-1], text, keys[:-1])] = _value(raw)
        return
    if keys[-1] == "path" and "path" in place:
        for fact in ("parameters", "license"):  # they belong to the previous model
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
            f"It is a list of {len(place)} entries, numbered from 0.",
            f"The last is {last}." if place else f"Set {where} as a whole, as a YAML list.",
        )
    return int(key)


def _value(raw: str) -> Any:
    try:
        value = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError):
        return raw
    return _number(value) if value == raw.strip() else value  # quoted values stay text


def _number(text: str) -> str | float:
    """Reads 2e-4, which YAML 1.1 takes for text."""
    try:
        return float(text) if text.strip()[:1] in "+-.0123456789" else text
    except ValueError:
        return text
