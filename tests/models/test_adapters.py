"""A damaged adapter, or one that does not fit, is named with its fault; never merged by half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import load_soft_prompt
from synthetic_instruction_tuner.models.loading import load_causal_lm

STUDENT = ModelConfig(path="nano:student-llama")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    shape: Any = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(load_causal_lm(STUDENT, "float32", "cpu"), shape).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "a"))


def test_a_sound_one_is_merged(adapter: Path) -> None:
    assert isinstance(load_causal_lm(STUDENT, "float32", "cpu", adapter), torch.nn.Module)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"r": 0}, "positive"),
        ({"r": 3}, "another shape"),
        ({"r": 10**9}, "another shape"),
        ({"r": 1}, "another shape"),
        ({"r": "x"}, "adapter_config.json"),
        ({"r": None}, "adapter_config.json"),
        ({"peft_type": "IA3"}, "its type is IA3"),
        ({"peft_type": []}, "its type is []"),
        ({"target_modules": ["nope"]}, "adapter_config.json"),
        ({"target_modules": ["q_proj", "k_proj"]}, "no matrix for this layer"),
        ({"target_modules": ["q_proj"]}, "no such layer"),
        ({"target_modules": 5}, "adapter_config.json"),
        ({"lora_alpha": "x"}, "adapter_config.json"),
        ({"layers_to_transform": [99]}, "adapter_config.json"),
    ],
)
def test_a_configuration_that_is_wrong(adapter: Path, facts: dict[str, Any], why: str) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    with pytest.raises(UserError) as caught:
        load_causal_lm(STUDENT, "float32", "cpu", adapter)
    assert why in caught.value.cause and caught.value.fix


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '"x"', "\x00\xff"])
def test_a_configuration_that_is_no_object(adapter: Path, content: str) -> None:
    (adapter / "adapter_config.json").write_text(content)
    with pytest.raises(UserError, match="cannot be used"):
        load_causal_lm(STUDENT, "float32", "cpu", adapter)


def test_a_matrix_that_is_missing_is_no_zero(adapter: Path) -> None:
    """PEFT takes a new matrix in its place, which is random."""
    file = adapter / "adapter_model.safetensors"
    found = load_file(file)
    found.pop(sorted(found)[0])
    save_file(found, file)
    with pytest.raises(UserError, match="does not fit"):
        load_causal_lm(STUDENT, "float32", "cpu", adapter)


def test_a_soft_prompt_without_tokens(adapter: Path) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        load_soft_prompt(adapter)
