"""What a soft prompt starts as: rows of the vocabulary, a text, or random numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthetic_instruction_tuner.config import PromptTuningConfig
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning


def beginning(folder: Path, **settings: Any) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Returns the soft prompt before training, the vocabulary's rows, and what the adapter says of it."""
    base = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    config = PromptTuningConfig(num_virtual_tokens=6, **settings)
    tuned = PromptTuning(config).add_adapter(base, AutoTokenizer.from_pretrained(folder))
    rows = tuned.prompt_encoder["default"].embedding.weight.detach()
    return rows, base.get_input_embeddings().weight.detach(), tuned.peft_config["default"].prompt_tuning_init


def test_each_beginning_is_what_it_says(random_llama: Path) -> None:
    rows, table, name = beginning(random_llama)
    assert name == "SAMPLE_VOCAB" and all((table == row).all(1).any() for row in rows)
    for settings in ({}, {"prompt_tuning_init": "text"}):
        rows, table, _ = beginning(random_llama, prompt_tuning_init_text="ab", **settings)
        ids = AutoTokenizer.from_pretrained(random_llama).encode("ababab", add_special_tokens=False)
        assert torch.equal(rows, table[ids])
    rows, table, name = beginning(random_llama, prompt_tuning_init="random")
    assert name == "RANDOM" and 0.7 < float(rows.std()) < 1.3 and float(table.std()) < 0.1


def test_the_default_is_no_part_of_what_identifies_a_training() -> None:
    assert "prompt_tuning_init" not in PromptTuningConfig().model_dump()
    assert PromptTuningConfig(prompt_tuning_init="random").model_dump()["prompt_tuning_init"] == "random"


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"prompt_tuning_init": "random", "prompt_tuning_init_text": "a"}, "leave one of them out"),
        ({"prompt_tuning_init": "text"}, "give prompt_tuning_init_text"),
        ({"prompt_tuning_init": "RANDOMLY"}, "random"),
    ],
)
def test_beginnings_that_contradict_each_other_are_refused(settings: dict[str, str], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        PromptTuningConfig(**settings)
