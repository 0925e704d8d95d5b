"""Data and models at the edge: one row, an empty answer, answers that are the same, a pad that is the end of turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training import supervised
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.metrics import TrainingMetrics
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

METHODS = ("sft", "prompt_tuning", "dpo")
FAST: dict[str, Any] = {"learning_rate": 1e-2, "num_train_epochs": 2.0, "warmup_ratio": 0.0}
ONE = Record("only", "red cat", "yes yes")
PAIR = PreferencePair("pair", "only", "red cat", "yes yes", "no", "a", "b", 1.0, 0.0)


def train(method: str, student: ModelConfig, record: Record, pair: PreferencePair, output: Path) -> TrainingMetrics:
    if method == "sft":
        return LoraSft(SftConfig(**FAST)).train(student, [record], output)
    if method == "prompt_tuning":
        return PromptTuning(PromptTuningConfig(**FAST, num_virtual_tokens=3)).train(student, [record], output)
    return Dpo(DpoConfig(**FAST)).train(student, None, [pair], output)


@pytest.mark.parametrize("method", METHODS)
def test_one_row_with_an_empty_answer_trains_its_end_of_turn(tmp_path: Path, student: ModelConfig, method: str) -> None:
    pair = replace(PAIR, rejected="")
    metrics = train(method, student, replace(ONE, response=""), pair, tmp_path)
    assert (metrics.examples, metrics.steps, metrics.dropped) == (1, 1, 0)
    template = supervised.ChatTemplate.from_tokenizer(load_tokenizer(student))
    end = sum(template.training_ids(replace(ONE, response="").messages())[1])
    yes = sum(template.training_ids(ONE.messages())[1])
    assert 0 < end < yes
    assert metrics.trained_tokens == 2 * (end if method != "dpo" else yes + end)
    assert (tmp_path / "final/adapter_model.safetensors").exists()


def test_answers_that_differ_in_nothing_leave_no_pair(tmp_path: Path, student: ModelConfig) -> None:
    with pytest.raises(UserError, match="No preference pair is left"):
        Dpo(DpoConfig(**FAST)).train(student, None, [replace(PAIR, rejected=PAIR.chosen)], tmp_path)


def test_a_pad_that_is_the_end_of_turn_is_still_learned(tmp_path: Path, student: ModelConfig) -> None:
    """Padding is known by its place: the end of turn of the shorter row counts, that of nothing else does."""
    folder = tmp_path / "same"
    load_causal_lm(student, "float32", "cpu").save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(student.path)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    model, rows = ModelConfig(path=str(folder)), [ONE, Record("longer", "blue dog runs", "no " * 9)]
    metrics = LoraSft(SftConfig(**FAST)).train(model, rows, tmp_path / "out")
    template = supervised.ChatTemplate.from_tokenizer(load_tokenizer(model))
    both = [template.training_ids(row.messages()) for row in rows]
    ends = [ids[-len([t for t in trained if t]) :] for ids, trained in both]
    assert all(tokenizer.eos_token_id in end for end in ends)
    assert metrics.trained_tokens == 2 * sum(sum(trained) for _, trained in both)
    wanted = torch.tensor([0.0, 0.0])
    loaded = load_causal_lm(model, "float32", "cpu")
    for ids, trained in both:
        labels = torch.tensor([[i if t else -100 for i, t in zip(ids, trained, strict=True)]])
        wanted += torch.tensor([loaded(torch.tensor([ids]), labels=labels).loss.item() * sum(trained), sum(trained)])
    assert metrics.first_loss == pytest.approx(float(wanted[0] / wanted[1]), abs=1e-3)
