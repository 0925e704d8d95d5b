"""From profiles, files and overrides to one checked configuration.

Layers, later ones win: profile (packaged YAML), the user's YAML file, ``--set a.b=c``, ``--limit``. Unknown keys and
wrong values stop here, before anything is loaded, all of them in one message that names the nearest valid keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthetic_instruction_tuner.config import overrides as command_line
from synthetic_instruction_tuner.config import yaml_text
from synthetic_instruction_tuner.config.configuration import Config
from synthetic_instruction_tuner.config.file_settings import with_paths
from synthetic_instruction_tuner.config.messages import explain, nearest, shortened
from synthetic_instruction_tuner.config.overrides import merge
from synthetic_instruction_tuner.config.sections.filter import FilterConfig
from synthetic_instruction_tuner.config.sections.models import ModelConfig
from synthetic_instruction_tuner.config.text_files import read_text
from synthetic_instruction_tuner.errors import SitError, UserError, together


def load_config(
    profile: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
    limit: int | None = None,
    auto: Callable[[], str] | None = None,
) -> Config:
    """Returns the configuration that the layers make together.

    Args:
        profile: name of a packaged profile; when None, what the file's ``profile:`` line says, else nano.
        file: the user's YAML file.
        overrides: texts such as ``filter.min_words=10``; values are read as YAML.
        limit: cuts every count, as the setting ``limit``.
        auto: returns the profile that fits this machine, which the name ``auto`` stands for.

    Raises:
        UserError: unknown profile, unreadable file, unknown keys or wrong values.
    """
    faults: list[SitError] = []
    places: dict[yaml_text.Key, str] = {}
    user: dict[str, Any] = {}
    if file:
        written = _parsed(file)
        places = {key: f"{file}, line {line}" for key, line in written.lines.items()}
        faults += [_twice(file, twice) for twice in written.twice]
        user = with_paths(written.value or {}, file.parent)
    named = user.pop("profile", None)
    if named is not None and not (isinstance(named, str) and named):
        faults.append(
            UserError(f"There is no profile {named!r} ({file}).", "It is the name of a profile.", "Write profile: nano")
        )
        named = None
    name = str(next((name for name in (profile, named) if name is not None), "nano"))
    try:
        data = profile_data(auto() if auto and name == "auto" else name)
    except UserError as error:
        faults.append(error)
        data = profile_data("nano")
    students, modules = _taken(data, "models", "students"), _taken(data, "train", "sft", "lora", "target_modules")
    data["models"]["students"] = students
    merge(data, user)
    config = _with_overrides(data, overrides, limit, faults, places, _names_keep(user))
    return _with_modules(config, students, modules).limited()


def _taken(data: dict[str, Any], *keys: str) -> Any:
    """Takes a value out of nested ones and returns it."""
    *path, last = keys
    for key in path:
        data = data[key]
    return data.pop(last)


def _with_modules(config: Config, students: list[Any], modules: list[str]) -> Config:
    """Returns the configuration with the LoRA modules that a profile names for its students.

    They are the names that its students' layers have. Other students may have other ones: with them, the setting stays
    what the user says, or ``auto``.
    """
    lora = config.train.sft.lora
    known = {ModelConfig.model_validate(student).path for student in students}
    if "target_modules" in lora.model_fields_set or not known.issuperset(m.path for m in config.models.students):
        return config
    data = config.model_dump(mode="json", exclude_unset=True)
    merge(data, {"train": {"sft": {"lora": {"target_modules": modules}}}})
    return Config.model_validate(data)


def _with_overrides(
    data: dict[str, Any],
    overrides: Iterable[str],
    limit: int | None = None,
    faults: Iterable[SitError] = (),
    places: Mapping[yaml_text.Key, str] | None = None,
    names_keep: bool | None = None,
) -> Config:
    """Returns the configuration that plain values and the options describe; one error for all mistakes.

    Args:
        names_keep: whether the user's file says how many records are kept; None: the values are those of a run.
    """
    if names_keep is None:  # a run that had records of the user's own keeps what it has
        names_keep = _own_records(data) or not _keeps_as_its_profile(data)
    texts, found, where = list(overrides), list(faults), dict(places or {})
    for text in texts:
        try:
            command_line.override(data, text)
            where[tuple(_number(key) for key in command_line.split(text)[0])] = command_line.shown(shortened(text))
        except UserError as error:
            found.append(error)
    if limit is not None:
        if data.get("limit", limit) != limit and (("limit",) in where and where["limit",].startswith("--set")):
            found.append(UserError("The limit is given twice.", f"--limit {limit} and {where['limit',]}.", "Keep one."))
        data["limit"] = limit
    if _own_records(data) and not names_keep and ("filter", "keep") not in where:
        merge(data, {"filter": {"keep": None}})  # the profile's number is meant for the records that Magpie writes
    try:
        config = Config.model_validate(with_paths(data, Path()))
    except ValidationError as error:
        raise together([*found, *explain(error, Config, where)]) from None
    if found:
        raise together(found)
    return config


def _own_records(data: Mapping[str, Any]) -> bool:
    """Whether the settings name records or instructions of the user's own."""
    own = data.get("data")
    return isinstance(own, dict) and bool(own.get("records") or own.get("prompts"))


def _names_keep(data: Mapping[str, Any]) -> bool:
    rules = data.get("filter")
    return isinstance(rules, dict) and "keep" in rules


def _keeps_as_its_profile(data: Mapping[str, Any]) -> bool:
    """Whether a run's stored number of records to keep is its profile's, and not one that the user has set."""
    named = data.get("profile")
    rules = (profile_data(named).get("filter") or {}) if named in profile_names() else {}
    return bool(rules.get("keep", FilterConfig().keep) == data["filter"].get("keep"))


def _number(key: str) -> str | int:
    return int(key) if key.isascii() and key.isdecimal() and len(key) < 10 else key


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
    _forget_derived_names(data["models"])
    changed = _with_overrides(data, overrides, limit)
    return changed if limit is None else changed.limited()


def _forget_derived_names(models: dict[str, Any]) -> None:
    """Drops the names that come from the models' paths: another path brings another name."""
    for found in models.values():
        for model in found if isinstance(found, list) else [found]:
            if model and model["name"] == ModelConfig(path=model["path"]).name:
                del model["name"]


def user_settings(file: Path | None, overrides: Iterable[str]) -> dict[str, Any]:
    """Returns the values that the user's own layers set, as nested keys, without those of a profile."""
    data = read_yaml(file) if file else {}
    for text in overrides:
        command_line.override(data, text)
    return data


def parse_config(data: Mapping[str, Any]) -> Config:
    """Returns the configuration that plain values describe; used for a run's config.json."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise together(explain(error, Config)) from None


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
    values: dict[str, Any] = yaml_text.read(text).value or {}
    return {"profile": name} | values


def read_yaml(file: Path) -> dict[str, Any]:
    """Returns the keys and values of a YAML file; a `UserError` says what is wrong with it."""
    written = _parsed(file)
    if written.twice:
        raise together([_twice(file, twice) for twice in written.twice])
    found: dict[str, Any] = written.value or {}
    return found


def _parsed(file: Path) -> yaml_text.YamlText:
    try:
        written = yaml_text.read(read_text(file))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"The configuration file {file} cannot be read.", reason, "Check the path.") from None
    except yaml_text.BadYaml as error:
        fix = "Write 'key: value' lines; indent with spaces."
        raise UserError(f"The configuration file {file} is not valid YAML.", _sentence(error), fix) from None
    except ValueError as error:
        fix = "Name a YAML file in UTF-8."
        raise UserError(f"The configuration file {file} cannot be read.", _sentence(error), fix) from None
    if written.value is not None and not isinstance(written.value, dict):
        kind = "a list" if isinstance(written.value, list) else "a single value"
        raise UserError(
            f"The configuration file {file} must hold keys and values.",
            f"It holds {kind}.",
            "Write for example 'filter: {min_words: 10}'.",
        )
    return written


def _twice(file: Path, twice: yaml_text.Twice) -> UserError:
    key, lines = ".".join(map(str, twice.key)), f"{file}, lines {twice.first} and {twice.second}"
    return UserError(f"The key '{key}' is there twice.", f"{lines}: only one of them can count.", "Remove one of them.")


def _sentence(error: ValueError) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
