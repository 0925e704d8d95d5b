"""Training on packed texts gives TRL's own loss curves, resumes, and does not depend on how texts are packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from random_models import write_model
from synthetic_instruction_tuner.config import (
    DpoConfig,
    LoraShape,
    ModelConfig,
    PromptTuningConfig,
    SftConfig,
    TrainerConfig,
)
from synthetic_instruction_tuner.config.sections.train import TrainConfig
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.packed.decoder import Decoder
from synthetic_instruction_tuner.training.packed.packs import Pack
from synthetic_instruction_tuner.training.packed.steps import PackedStep
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

SHARED: dict[str, Any] = {
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "num_train_epochs": 1.0,
    "logging_steps": 1,
    "learning_rate": 1e-2,
}
RESULT = ("final/adapter_model.safetensors", "training_log.jsonl", "data_order.jsonl")


class Killed(BaseException):
    """Stands for kill -9."""


def log(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


def assert_same_curves(one: Path, other: Path) -> None:
    a, b = log(one), log(other)
    assert len(a) == len(b) > 1
    for name in a[0]:
        assert [row[name] for row in b] == pytest.approx([row[name] for row in a], rel=1e-4, abs=2e-4), name


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory, student: ModelConfig, records: list[Record]) -> Path:
    output = tmp_path_factory.mktemp("padded") / "sft"
    LoraSft(SftConfig(**SHARED, lora=LoraShape(lora_dropout=0))).train(student, records, output)
    return output


def test_sft_has_trls_curves(tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record]) -> None:
    notes: list[str] = []
    config = SftConfig(**SHARED, lora=LoraShape(lora_dropout=0))
    LoraSft(config, packing="on").train(student, records, tmp_path, on_note=notes.append)
    assert_same_curves(sft, tmp_path)
    assert any("texts are packed into rows of at most" in note for note in notes)


def test_prompt_tuning_has_trls_curves(tmp_path: Path, student: ModelConfig, records: list[Record]) -> None:
    config = PromptTuningConfig(**SHARED, num_virtual_tokens=3)
    for packing in ("off", "on"):
        PromptTuning(config, packing=packing).train(student, records, tmp_path / packing)
    assert_same_curves(tmp_path / "off", tmp_path / "on")


def test_dpo_has_trls_curves_and_a_mean_over_pairs_in_every_step(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair]
) -> None:
    """Ten pairs, six a step: the last four are 3 + 1, of which a mean of means would be another."""
    uneven = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 2}
    whole = {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 1}
    settings: dict[str, Any] = SHARED | {"sft_weight": 2.0}
    Dpo(DpoConfig(**settings | whole)).train(student, sft / "final", pairs, tmp_path / "whole")
    Dpo(DpoConfig(**settings | uneven), packing="on").train(student, sft / "final", pairs, tmp_path / "packed")
    assert_same_curves(tmp_path / "whole", tmp_path / "packed")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    method: str, tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record], pairs: list[PreferencePair]
) -> None:
    settings = SHARED | {"save_steps": 1}

    def train(output: Path, kill_at: int = 0) -> None:
        def report(step: int, *_: object) -> None:
            if step == kill_at:
                raise Killed

        if method == "sft":  # with dropout
            LoraSft(SftConfig(**settings), packing="on").train(student, records, output, report)
        else:
            Dpo(DpoConfig(**settings), packing="on").train(student, sft / "final", pairs, output, report)

    train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", 2)  # after the first step's checkpoint
    train(tmp_path / "killed")
    for name in RESULT:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_micro_batches_may_change_between_steps(
    tmp_path: Path, sft: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after running out of memory: smaller packs, the same training."""
    limits = iter([60, 25, 200, 1])
    seen: list[int] = []
    monkeypatch.setattr(PackedStep, "limit", property(lambda self: (seen.append(next(limits)), seen[-1])[1]))
    LoraSft(SftConfig(**SHARED, lora=LoraShape(lora_dropout=0)), packing="on").train(student, records, tmp_path)
    assert len(seen) == 4
    assert_same_curves(sft, tmp_path)


def test_another_architecture_is_trained_in_padded_batches_and_that_is_said(
    tmp_path: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.training.packed import decoder

    monkeypatch.setattr(decoder, "PLAIN_DECODERS", ("gpt2",))
    notes: list[str] = []
    config = SftConfig(**SHARED)
    for packing in ("off", "on"):
        tuner = LoraSft(config, packing=packing)
        tuner.train(student, records[:8], tmp_path / packing, on_note=notes.append)
    for name in RESULT:
        assert (tmp_path / "off" / name).read_bytes() == (tmp_path / "on" / name).read_bytes()
    said = [note for note in notes if "padded batches" in note]
    assert len(said) == 1 and "the architecture llama is not among" in said[0]


def test_another_family_has_trls_curves(tmp_path: Path, records: list[Record]) -> None:
    model = ModelConfig(path=str(write_model(tmp_path / "qwen2", "qwen2")))
    config = SftConfig(**SHARED, lora=LoraShape(lora_dropout=0))
    for packing in ("off", "on"):
        LoraSft(config, packing=packing).train(model, records[:8], tmp_path / packing)
    assert_same_curves(tmp_path / "off", tmp_path / "on")


def test_the_setting_is_no_part_of_a_methods_settings() -> None:
    """Finished adapters stay what they are: on a CPU nothing changes."""
    assert "packing" not in TrainerConfig.model_fields
    assert TrainConfig().packing == "auto"


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_out_of_memory_halves_the_packs_and_trains_the_same(
    method: str,
    tmp_path: Path,
    sft: Path,
    student: ModelConfig,
    records: list[Record],
    pairs: list[PreferencePair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU on which the second step's packs do not fit."""
    limits: list[int] = []
    hidden = Decoder.hidden

    def too_large(self: Decoder, pack: Pack, *rest: Any) -> Any:
        if grows and torch.is_grad_enabled():
            limits.append(pack.tokens)
            if len(limits) == 3:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return hidden(self, pack, *rest)

    monkeypatch.setattr(Decoder, "hidden", too_large)
    settings = SHARED | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
    for grows in (False, True):
        output = tmp_path / str(grows)
        if method == "sft":
            tuner = LoraSft(SftConfig(**settings, lora=LoraShape(lora_dropout=0)), packing="on")
            metrics = tuner.train(student, records, output)
        else:
            metrics = Dpo(DpoConfig(**settings), packing="on").train(student, sft / "final", pairs, output)
    assert [one["reason"] for one in metrics.recoveries] == ["out of memory"]
    assert max(limits[3:]) < max(limits[:3])
    assert_same_curves(tmp_path / "False", tmp_path / "True")
