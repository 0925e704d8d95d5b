"""The number of weights that a configuration alone says is that of the model that Transformers builds from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models import files
from synthetic_instruction_tuner.models.files import ModelShape, shape
from synthetic_instruction_tuner.models.sizes.known_shapes import KNOWN
from tiny_families import tiny_config

ODD = [
    "cpmant",
    "longcat_flash",
    "minimax",
    "rembert",
    "prophetnet",
    "mixtral",
    "gpt2",
    "mamba2",
    "bamba",
    "deepseek_v3",
]
CLASSIFIERS = ["deberta-v2", "rembert", "qwen3", "t5"]


def stated(folder: Path, config: dict[str, Any]) -> ModelShape | None:
    (folder / "config.json").write_text(json.dumps(config))
    return shape(ModelConfig(path=str(folder)))


@pytest.mark.parametrize("name", ODD + [f"{name} as a classifier" for name in CLASSIFIERS])
def test_the_weights_of_any_configuration_are_counted(tmp_path: Path, name: str) -> None:
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    family, _, classifier = name.partition(" ")
    kinds = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING if classifier else None
    config = tiny_config(CONFIG_MAPPING[family], family)
    model_class = (kinds or modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING)[type(config)]
    with torch.device("meta"):
        true = sum(one.numel() for one in model_class._from_config(config).parameters())
    config.architectures = [model_class.__name__]
    found = stated(tmp_path, config.to_dict())
    assert found is not None and found.parameters == true and found.origin == "files"
    assert (found.hidden, found.vocabulary) == (32, 96)
    assert found.layers == config.num_hidden_layers or family in ("longcat_flash", "prophetnet")
    assert 0 < found.unquantized < true


@pytest.mark.parametrize(
    "changes", [{"model_type": "nobody_knows"}, {"num_hidden_layers": 5000}, {"architectures": 7}, {"auto_map": {}}]
)
def test_what_cannot_be_built_is_estimated(tmp_path: Path, changes: dict[str, Any]) -> None:
    sizes = {"hidden_size": 64, "vocab_size": 500, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = {"model_type": "llama", "intermediate_size": 128, **sizes, **changes}
    found = stated(tmp_path, config)
    assert found is not None and found.hidden == 64 and found.layers == config["num_hidden_layers"]
    attention = 2 * 64 * 64 + 64 * 2 * 64
    assert found.parameters == config["num_hidden_layers"] * (attention + 3 * 64 * 128) + 2 * 500 * 64


def test_packed_weights_are_counted_as_those_that_they_hold(tmp_path: Path) -> None:
    sizes = {"hidden_size": 64, "vocab_size": 500, "num_hidden_layers": 3, "num_attention_heads": 4}
    plain = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "intermediate_size": 128, **sizes}
    first = stated(tmp_path, plain)
    second = stated(tmp_path, plain | {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    assert first is not None and first == second


def test_a_known_model_of_which_only_the_configuration_is_here_needs_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(iter(KNOWN))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    monkeypatch.setattr(files, "cached_folder", lambda model: tmp_path)
    monkeypatch.setattr(files, "counted", None)  # builds the model
    found = shape(ModelConfig(path=name))
    assert found is not None and (found.origin, found.parameters) == ("known", KNOWN[name].parameters)
