"""A DPO step is the mean over its pairs, however they are split into micro-batches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig
from synthetic_instruction_tuner.records import PreferencePair
from synthetic_instruction_tuner.training.dpo import Dpo

LOGGED = ("loss", "grad_norm", "reward_margin", "chosen_logps", "rejected_logps", "sft_loss")


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


def test_a_last_step_of_unequal_micro_batches_is_the_mean_over_its_pairs(
    tmp_path: Path, student: ModelConfig, pairs: list[PreferencePair]
) -> None:
    long = "blue seven cat dog runs fast red " * 3
    thirteen = [*pairs, *(replace(p, id=f"more-{i}", rejected=f"no {long * i}") for i, p in enumerate(pairs[:3]))]
    logs = []
    for size in (8, 4):
        config = DpoConfig(
            per_device_train_batch_size=size,
            gradient_accumulation_steps=8 // size,
            learning_rate=1e-3,
            warmup_ratio=0.0,
            logging_steps=1,
            sft_weight=2.0,
        )
        Dpo(config).train(student, None, thirteen, tmp_path / str(size))
        logs.append(log(tmp_path / str(size)))
    assert len(logs[0]) == 2 and logs[0][1]["loss"] != logs[0][0]["loss"]
    for other in logs[1:]:
        for name in LOGGED:
            assert [row[name] for row in other] == pytest.approx([row[name] for row in logs[0]], rel=2e-3, abs=2e-3), (
                name
            )
