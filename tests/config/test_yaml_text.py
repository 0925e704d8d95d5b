"""The YAML of settings: which values it has, and that no text makes it fail, or take long."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import settings as sizes
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import yaml_text
from synthetic_instruction_tuner.config.yaml_text import BadYaml, Twice, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("7.5", 7.5),
        (".5", 0.5),
        ("7.", 7.0),
        ("2e-4", 2e-4),
        ("2.0E+4", 2e4),
        ("'7'", "7"),
        ('"true"', "true"),
        ("|\n  7\n", "7\n"),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    found = read(text).value
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "1:30", "0x10", "0o17", "017", "00", "1_000", "2024-01-02", "1,000", "1e", "--1"],
)
def test_what_only_older_yaml_takes_for_a_value_is_text(text: str) -> None:
    assert read(text).value == text


def test_numbers_that_are_none() -> None:
    assert math.isnan(read(".nan").value) and read("-.inf").value == -math.inf
    assert read("1" * 5000).value == "1" * 5000


def test_lines_and_keys_that_are_there_twice() -> None:
    found = read("a: 1\nb:\n  - c: 2\n    c: 3\n  - {d: 1,\n     d: 1}\na: 4\n")
    assert found.value == {"a": 1, "b": [{"c": 2}, {"d": 1}]}
    assert found.lines["b", 1, "d"] == 5 and found.lines["b", 0, "c"] == 3
    assert found.twice == [Twice(("b", 0, "c"), 3, 4), Twice(("b", 1, "d"), 5, 6), Twice(("a",), 1, 7)]


def test_aliases_and_merged_mappings() -> None:
    text = "a: &x {b: 1, c: [2]}\nd: *x\ne:\n  <<: *x\n  b: 5\nf: {<<: [*x, {g: 1}]}\n"
    assert read(text).value == {
        "a": {"b": 1, "c": [2]},
        "d": {"b": 1, "c": [2]},
        "e": {"b": 5, "c": [2]},
        "f": {"b": 1, "c": [2], "g": 1},
    }


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (laughs(30), "aliases repeat"),
        ("a: &x [*x]", "inside of what it repeats"),
        ("a: &x {b: *x}", "inside of what it repeats"),
        ("a: *x", "no anchor"),
        ("[" * 200_000, "levels deep"),
        ("{a: " * 200_000, "levels deep"),
        ("- " * 20_000, "levels deep"),
        ("x" * 2_000_000, "are the limit"),
        ("a: !!python/object/apply:os.system [true]", "tag"),
        ("a: !!str 5", "tag"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("[a, b]: 1", "no plain text|not a plain text"),
        ("{a: 1}: 1", "not a plain text"),
        ("a:\n\tb: 1", "line 2"),
        ("a: [1", "line"),
        ("a: b: c", "line 1"),
        ("<<: 5", "<<"),
        ("a: \x07", "characters"),
        ("a: caf\udce9", "Unicode"),
    ],
)
def test_what_is_refused(text: str, part: str) -> None:
    with pytest.raises(BadYaml) as caught:
        read(text)
    assert any(p in str(caught.value) for p in part.split("|")), caught.value
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("C",)), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.-_ ", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@sizes(max_examples=150, deadline=None)
@given(plain)
def test_json_is_read_as_what_it_is(value: object) -> None:
    assert read(json.dumps(value, ensure_ascii=False)).value == value


@sizes(max_examples=300, deadline=None)
@given(st.text("ab:- {}[],&*!?|>'\"#%@\n\t<1.~", max_size=60))
def test_no_text_does_anything_else_than_being_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except BadYaml as error:
        assert str(error)
    else:
        json.dumps(found.value)


def test_the_reader_without_libyaml_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a: &x {b: 1}\nc: *x\n", laughs(8), "a: [1", "a: 1\na: 2"]

    def outcome(text: str) -> object:
        try:
            return read(text)
        except BadYaml:
            return "refused"

    fast = [outcome(text) for text in texts]
    monkeypatch.setattr(yaml_text.yaml, "__with_libyaml__", False)
    assert [outcome(text) for text in texts] == fast
