"""A damaged adapter, or one that does not fit, is named with its fault; never merged by half."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import BASE, load_soft_prompt, require_base, write_base
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


def renamed(adapter: Path, **facts: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def copy_of_student(folder: Path, change: float) -> ModelConfig:
    """The embedded student under another name, with its first weight matrix changed by so much."""
    from synthetic_instruction_tuner.models.loading import resolve

    shutil.copytree(resolve(STUDENT), folder)
    file = folder / "model.safetensors"
    found = load_file(file)
    name = sorted(found)[0]
    found[name] = found[name] + change
    save_file(found, file, metadata={"format": "pt"})
    return ModelConfig(path=str(folder))


def test_the_weights_of_the_base_decide_and_not_its_name(adapter: Path, tmp_path: Path) -> None:
    base = copy_of_student(tmp_path / "base", 0.0)
    write_base(adapter, base)
    moved = ModelConfig(path=str(shutil.move(tmp_path / "base", tmp_path / "moved")))
    require_base(adapter, moved)
    other = copy_of_student(tmp_path / "other", 0.5)
    with pytest.raises(UserError, match="does not fit") as caught:
        load_causal_lm(other, "float32", "cpu", adapter)
    assert "other weights" in caught.value.cause and BASE in str(caught.value.fix)
    assert str(tmp_path) not in (adapter / BASE).read_text()
    (adapter / BASE).unlink()
    require_base(adapter, other)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weights": null}', "{"])
def test_a_note_that_says_nothing_is_no_fault(adapter: Path, content: str) -> None:
    (adapter / BASE).write_text(content)
    require_base(adapter, STUDENT)


@pytest.mark.parametrize(
    ("named", "revision", "base", "warned"),
    [
        ("owner/base", None, ModelConfig(path="owner/base"), False),
        ("owner/base", "abc", ModelConfig(path="owner/base"), False),
        ("owner/base", "abc", ModelConfig(path="owner/base", revision="def"), True),
        ("owner/base", None, ModelConfig(path="mirror/base"), True),
        ("/home/x/models/base", None, ModelConfig(path="owner/base"), False),
        ("owner/base", None, STUDENT, False),
        ("", None, STUDENT, False),
        (None, None, STUDENT, False),
    ],
)
def test_names_only_warn(
    adapter: Path,
    caplog: pytest.LogCaptureFixture,
    named: str | None,
    revision: str | None,
    base: ModelConfig,
    warned: bool,
) -> None:
    renamed(adapter, base_model_name_or_path=named, revision=revision)
    with caplog.at_level(logging.WARNING):
        require_base(adapter, base)
    assert bool(caplog.records) is warned


def test_an_adapter_of_another_embedded_model_is_refused(adapter: Path) -> None:
    renamed(adapter, base_model_name_or_path="nano:student-qwen2")
    with pytest.raises(UserError, match="does not fit"):
        require_base(adapter, STUDENT)
