"""Every setting, by walking the schema: what is of its kind is taken, alike from YAML and --set; nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import assume, given
from hypothesis import settings as sizes
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.config.sections.engine import MOST_AT_ONCE
from synthetic_instruction_tuner.errors import UserError

LIST_OF_MODELS = ("models.responders", "models.students")
LANGUAGES = {"language": ["", "en", "de", "no"]}
UNKNOWN_TO_SET = ("profile",)  # chosen with --profile
OWN_RULES = ("path", "chat_template", "tokenizer", "folder", "tasks", "mysql", "url", "name", "api_key_env")
"""Names of settings that take some texts only, or read them as paths."""


def leaves(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        key = prefix + name
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        section = next((one for one in inner if issubclass(one, BaseModel)), None)
        if key in LIST_OF_MODELS and section:
            yield from leaves(section, f"{key}.0.")
        elif section and get_origin(field.annotation) is not tuple:
            if section is not field.annotation:
                continue  # a model that is off by default
            yield from leaves(section, key + ".")
        elif key == "generate.domains":
            yield from leaves(section or get_args(field.annotation)[1], f"{key}.coding.")
        elif key not in UNKNOWN_TO_SET:
            yield key, field


FIELDS = dict(leaves())


def kinds(field: FieldInfo) -> set[Any]:
    return {field.annotation, *get_args(field.annotation)}


def of_kind(*wanted: type) -> list[str]:
    single = {key: field for key, field in FIELDS.items() if get_origin(field.annotation) is not tuple}
    return [key for key, field in single.items() if not kinds(field).isdisjoint(wanted)]


WHOLE, FRACTIONS, SWITCHES, TEXTS = of_kind(int), of_kind(float), of_kind(bool), of_kind(str)
CHOICES = [key for key, field in FIELDS.items() if get_origin(field.annotation) is Literal]
LISTS = [key for key, field in FIELDS.items() if get_origin(field.annotation) is tuple]


def test_the_walk_finds_every_kind() -> None:
    found = [len(keys) for keys in (WHOLE, FRACTIONS, SWITCHES, TEXTS, CHOICES, LISTS)]
    assert all(found) and sum(found) >= len(FIELDS) > 120


def file_of(key: str, text: str, folder: Path) -> Path:
    """A YAML file with one setting."""
    parts = key.split(".")
    if parts[:2] in (["models", "students"], ["models", "responders"]):
        stem = parts[1][:-1]
        others = f"[{{path: 'nano:{stem}-llama', {parts[3]}: {text}}}, 'nano:{stem}-mistral', 'nano:{stem}-qwen2']"
        inner = f"{parts[1]}: {others}" if parts[3] != "path" else f"{parts[1]}: [{{path: {text}}}]"
        content = f"models: {{{inner}}}"
    else:
        content = reduce(lambda below, part: f"{{{part}: {below}}}", reversed(parts), text)
    file = folder / "my.yaml"
    file.write_text(content + "\n", encoding="utf-8")
    return file


def refused(key: str, text: str, folder: Path) -> None:
    """Both ways refuse it, in three lines, and name the key."""
    for options in ({"overrides": [f"{key}={text}"]}, {"file": file_of(key, text, folder)}):
        with pytest.raises(UserError) as caught:
            load_config(**options)  # type: ignore[arg-type]
        assert key in caught.value.problem, (key, text, str(caught.value))
        assert caught.value.exit_code == 2 and caught.value.cause and caught.value.fix
        assert all("\n" not in line for line in caught.value.lines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


NO_NUMBER = [
    "true",
    "false",
    "yes",
    "'5'",
    "0x10",
    "1:30",
    "1_000",
    "010",
    ".nan",
    "-.inf",
    "[5]",
    "2024-01-02",
    "five",
]


@sizes(max_examples=300, deadline=None)
@given(st.sampled_from(WHOLE), st.sampled_from([*NO_NUMBER, "1.5", "5.0", "1e3", "1" + "0" * 30, "1" + "0" * 300]))
def test_what_is_no_whole_number(folder: Path, key: str, text: str) -> None:
    refused(key, text, folder)


@sizes(max_examples=200, deadline=None)
@given(st.sampled_from(FRACTIONS), st.sampled_from([*NO_NUMBER, "1e30", "-1e30", "1" + "0" * 30]))
def test_what_is_no_number(folder: Path, key: str, text: str) -> None:
    refused(key, text, folder)


@sizes(max_examples=100, deadline=None)
@given(
    st.sampled_from(SWITCHES),
    st.sampled_from(["yes", "no", "on", "off", "1", "0", "'true'", "null", "[true]", "y", "t", "1.0", "{a: true}"]),
)
def test_what_is_no_switch(folder: Path, key: str, text: str) -> None:
    refused(key, text, folder)


@sizes(max_examples=150, deadline=None)
@given(st.sampled_from(CHOICES), st.sampled_from(["nonsense", "5", "true", "[auto]", "null", ".inf", '""']))
def test_what_is_no_choice(folder: Path, key: str, text: str) -> None:
    refused(key, text, folder)


@sizes(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(["5", "5.5", "true", "[a]", '"a\\0b"', ".nan"]))
def test_what_is_no_text(folder: Path, key: str, text: str) -> None:
    refused(key, text, folder)


@sizes(max_examples=100, deadline=None)
@given(
    st.sampled_from(LISTS), st.sampled_from(["5", "true", "[5]", "[[a]]", "{a: 1}", "[true]", "no-file-of-this-name"])
)
def test_what_is_no_list(folder: Path, key: str, text: str) -> None:
    if text == "{a: 1}" and key in LIST_OF_MODELS:
        return
    if text == "no-file-of-this-name" and key.startswith("data."):  # one file is enough
        return
    with pytest.raises(UserError) as caught:
        load_config(overrides=[f"{key}={text}"])
    assert key in caught.value.problem


def limits(field: FieldInfo) -> tuple[float, float]:
    low, high = -1e6, 1e6
    for limit in field.metadata:
        if isinstance(limit, (Ge, Gt)):
            low = float(limit.ge if isinstance(limit, Ge) else limit.gt) + (1e-6 if isinstance(limit, Gt) else 0)  # type: ignore[arg-type]
        elif isinstance(limit, (Le, Lt)):
            high = float(limit.le if isinstance(limit, Le) else limit.lt) - (1e-6 if isinstance(limit, Lt) else 0)  # type: ignore[arg-type]
    return low, high


@st.composite
def valid(draw: st.DrawFn) -> tuple[str, Any]:
    """A setting with a value of its kind."""
    key = draw(st.sampled_from([*WHOLE, *FRACTIONS, *SWITCHES, *CHOICES, *TEXTS]))
    field = FIELDS[key]
    name = key.rpartition(".")[2]
    if key in CHOICES:
        return key, draw(st.sampled_from(get_args(field.annotation)))
    if key in SWITCHES:
        return key, draw(st.booleans())
    low, high = (1, MOST_AT_ONCE) if key == "engine.batch_size" else limits(field)  # which may also be a word
    if key in WHOLE:
        return key, draw(st.integers(int(low), int(high)))
    if key in FRACTIONS:
        return key, draw(
            st.floats(low, high) | st.integers(int(low) + 1, int(high)) if high > low + 2 else st.floats(low, high)
        )
    if name in LANGUAGES:
        return key, draw(st.sampled_from(LANGUAGES[name]))
    assume(name not in OWN_RULES)
    return key, draw(st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=12))


@sizes(max_examples=300, deadline=None)
@given(valid())
def test_yaml_and_set_give_the_same(folder: Path, chosen: tuple[str, Any]) -> None:
    key, value = chosen
    text = json.dumps(value, ensure_ascii=False)
    outcomes = []
    for options in ({"overrides": [f"{key}={text}"]}, {"file": file_of(key, text, folder)}):
        try:
            outcomes.append(load_config(**options))  # type: ignore[arg-type]
        except UserError as error:  # it does not go with the other settings, such as a minimum above the maximum
            assert "Change one of these" in error.fix or "limit" in key or "until_kept" in error.cause, (
                key,
                str(error),
            )
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
    if outcomes[0] is not None:
        found: Any = outcomes[0].model_dump(mode="json")
        for part in key.split("."):
            if part == "prompt_tuning_init" and part not in found:  # the default is no part of what keys are made of
                found = "vocabulary"
            else:
                found = found[int(part)] if isinstance(found, list) else found[part]
        assert found == value


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["~a/b", "n" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "system", "topics", "files", "a", "", "coding"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = sorted({key.rpartition(".")[0] for key in FIELDS if ".0." not in key} - {""} | set(FIELDS))


@sizes(max_examples=400, deadline=None)
@given(st.sampled_from(PARTS), anything)
def test_whatever_is_in_a_file_is_taken_or_refused(folder: Path, key: str, value: object) -> None:
    try:
        load_config(file=file_of(key, json.dumps(value, ensure_ascii=False), folder))
    except UserError as error:
        assert all(line and "\n" not in line for line in error.lines())


@sizes(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*WHOLE, *SWITCHES]), min_size=2, max_size=6, unique=True))
def test_all_mistakes_are_in_one_message(folder: Path, keys: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_config(overrides=[f"{key}=nonsense" for key in keys])
    text = str(caught.value)
    for key in keys:
        assert f"'{key}'" in text
    assert text.count("fix: ") == len(keys)
