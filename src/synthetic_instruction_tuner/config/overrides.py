"""Settings of the command line, ``--set a.b=c``: their values, their places, and what cannot be followed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from synthetic_instruction_tuner.config import yaml_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.web_addresses import without_secrets

SECRET = re.compile(r"key|url|token|password|secret|:/|@|\bsk-", re.IGNORECASE)
"""In an option that may hold a secret, though it should not."""


def override(data: dict[str, Any], text: str) -> None:
    """Changes nested plain values as a text such as ``filter.min_words=10`` says.

    Raises:
        UserError: the text cannot be followed.
    """
    keys, raw = split(text)
    place: Any = data
    for depth, key in enumerate(keys[:-1]):
        place = _below(place, key, text, keys[:depth])
    if isinstance(place, list):
        place[_position(place, keys[-1], text, keys[:-1])] = value(text, raw)
        return
    if keys[-1] == "path" and "path" in place:
        for fact in ("parameters", "license"):  # they belong to the previous model
            place.pop(fact, None)
    found, old = value(text, raw), place.get(keys[-1])
    if found is None and isinstance(old, Mapping) and "path" in old:
        place[keys[-1]] = None  # no model at all: here nothing is commented out
        return
    merge(place, {keys[-1]: found})


def merge(base: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Changes nested values as others say: parts with keys are merged, lists and domains are replaced."""
    for key, value in extra.items():
        old = base.get(key)
        if value is None and isinstance(old, dict):
            continue  # a section whose lines are all commented out
        if isinstance(value, Mapping) and isinstance(old, str):
            old = base[key] = {"path": old}  # a model that is written as its path alone
        if isinstance(value, Mapping) and isinstance(old, dict) and key != "domains" and "path" not in value:
            merge(old, value)
        else:  # also for another model, to which nothing of the earlier one applies, such as its size
            base[key] = value


def split(text: str) -> tuple[list[str], str]:
    """Returns the keys and the value of a text; raises UserError where it has none of them."""
    path, equals, raw = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        example = "Write for example --set filter.min_words=10"
        raise UserError(f"{shown(text)} cannot be parsed.", "It must be a key, '=' and a value.", example)
    if keys[0] == "profile":
        raise UserError(
            f"{shown(text)}: a profile is no setting.", "The settings start from it.", "Write --profile NAME."
        )
    return keys, raw


def shown(text: str) -> str:
    """Returns the option as it may be shown: without its value where that may hold a key or a password."""
    path, equals, _ = text.partition("=")
    if SECRET.search(text):
        return f"--set {without_secrets(path.strip())}" if equals else "--set"
    return f"--set {text}"


def value(text: str, raw: str) -> Any:
    """Returns the value after ``=``: YAML, or the text itself where that is no YAML; nothing is the empty text.

    Raises:
        UserError: a mapping names a key twice.
    """
    if not raw.strip():
        return ""
    try:
        found = yaml_text.read(raw)
    except yaml_text.BadYaml:
        return raw
    if found.twice:
        key = ".".join(map(str, found.twice[0].key))
        raise UserError(f"{shown(text)} names '{key}' twice.", "One key has one value.", "Remove one of them.")
    return found.value


def conflicts(texts: Iterable[str]) -> list[UserError]:
    """Returns a mistake for each key that a command line gives two different values."""
    seen: dict[tuple[str, ...], tuple[Any, str]] = {}
    faults = []
    for text in texts:
        try:
            keys, raw = split(text)
            chosen = value(text, raw)
        except UserError:
            continue  # reported where it is followed
        before = seen.setdefault(tuple(keys), (chosen, raw))
        if repr(before[0]) != repr(chosen):
            name = ".".join(keys)
            faults.append(
                UserError(
                    f"--set {name} is given twice.",
                    "Its values differ." if SECRET.search(text) else f"It is {before[1]} and {raw}.",
                    "Keep the one that you mean.",
                )
            )
    return faults


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
            f"{shown(text)}: {'.'.join(above)} has no keys below it.",
            "It holds a single value.",
            f"Write --set {'.'.join(above)}=VALUE.",
        )
    return place[where]


def _position(place: list[Any], key: str, text: str, above: list[str]) -> int:
    if not (key.isascii() and key.isdecimal()) or int(key[:9]) >= len(place):
        where = ".".join(above)
        last = f"{where}.{len(place) - 1}"
        raise UserError(
            f"{shown(text)}: there is no '{key}' in {where}.",
            f"It is a list of {len(place)} entries, numbered from 0.",
            f"The last is {last}." if place else f"Set {where} as a whole, as a YAML list.",
        )
    return int(key)
