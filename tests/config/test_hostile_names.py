"""A model's name becomes a folder's: what a reader would not see has no place in it."""

from __future__ import annotations

import pytest

from synthetic_instruction_tuner.config import ModelConfig


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\x9bb", "\u202egnp", "\x00", "a\tb"])
def test_a_name_has_no_hidden_characters(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be used as a folder name|NUL"):
        ModelConfig(path="nano:student-llama", name=name)


@pytest.mark.parametrize("name", ["語", "a b", "[red]", "=1", "_a", "हिन्दी"])
def test_a_name_of_any_script_is_a_name(name: str) -> None:
    assert ModelConfig(path="nano:student-llama", name=name).name == name
