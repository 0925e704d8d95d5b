"""A model's name becomes a folder's: what a reader would not see has no place in it."""

from __future__ import annotations

import pytest

from synthetic_instruction_tuner.config import ModelConfig, load_config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.checks.finding import NotReady
from synthetic_instruction_tuner.run.checks.model_checks import check_local_models


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\x9bb", "\u202egnp", "\x00", "a\tb"])
def test_a_name_has_no_hidden_characters(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be used as a folder name|NUL"):
        ModelConfig(path="nano:student-llama", name=name)


@pytest.mark.parametrize("name", ["語", "a b", "[red]", "=1", "_a", "हिन्दी"])
def test_a_name_of_any_script_is_a_name(name: str) -> None:
    assert ModelConfig(path="nano:student-llama", name=name).name == name


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("models.generator=https://huggingface.co/Qwen/Qwen2.5-1.5B", "write Qwen/Qwen2.5-1.5B"),
        ("models.reward=http://example.org/model", "address of a web page"),
        ("models.generator='   '", "it is empty"),
        ("generate.domains=[math, coding, math]", "math twice"),
        ("evaluate.nano_mmlu.items=100000", "less than or equal to 10000"),
    ],
)
def test_what_no_model_domain_or_number_of_items_can_be(setting: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config("nano", overrides=[setting])
    assert told.lower() in caught.value.cause.lower()


@pytest.mark.parametrize("path", ["a/b/c", "name with spaces", "-x/y", "x/y.git/z"])
def test_a_path_that_is_no_folder_and_no_id_is_found_without_the_hub(path: str) -> None:
    with pytest.raises(NotReady) as caught:
        check_local_models(load_config("nano", overrides=[f"models.generator={path}"]))
    assert "neither a folder nor a valid Hub id" in caught.value.cause
