"""The losses on pairs are TRL's own, and adapters of other shapes train, resume and load."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from synthetic_instruction_tuner.config import DpoConfig, LoraShape, ModelConfig, SftConfig, fingerprint, load_config
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.loading import load_causal_lm
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.stages import training as stage
from synthetic_instruction_tuner.training.dpo import Dpo, PreferenceTrainer, first_loss
from synthetic_instruction_tuner.training.lora_sft import LoraSft

FAST: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "learning_rate": 1e-2,
    "logging_steps": 1,
}
LOSSES: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "ipo": {},
    "hinge": {},
    "sigmoid_norm": {},
    "robust": {"label_smoothing": 0.2},
}


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


def by_hand(config: DpoConfig, chosen: float, rejected: float, lengths: tuple[int, int]) -> float:
    """The loss on one pair from its gains in log-probability, as the papers have it."""
    delta = config.beta * (chosen - rejected)
    by_length = chosen / lengths[0] - rejected / lengths[1]
    log_sigmoid = [-math.log1p(math.exp(-x)) for x in (delta, -delta)]
    smoothing = config.label_smoothing
    return {
        "sigmoid": -log_sigmoid[0],
        "hinge": max(0.0, 1 - delta),
        "ipo": (by_length - 1 / (2 * config.beta)) ** 2,
        "sigmoid_norm": math.log1p(math.exp(-config.beta * by_length)),
        "robust": (-(1 - smoothing) * log_sigmoid[0] + smoothing * log_sigmoid[1]) / (1 - 2 * smoothing),
    }[config.loss]


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_starts_where_it_must_and_is_what_its_paper_says(
    tmp_path: Path, student: ModelConfig, pairs: list[PreferencePair], loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DpoConfig(**FAST | LOSSES[loss], loss=loss, beta=0.5, num_train_epochs=1.0, warmup_ratio=0.0)
    wanted, seen = list[float](), list[float]()
    own = PreferenceTrainer._compute_loss

    def observed(self: Any, model: Any, inputs: Any, *args: Any) -> Any:
        outputs: list[Any] = []
        value = own(self, lambda **given: outputs.append(model(**given)) or outputs[0], inputs, *args)
        gains = outputs[0].log_probs.detach().sum(1) - torch.cat(
            [inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]]
        )
        lengths, half = inputs["completion_mask"].sum(1).tolist(), len(gains) // 2
        each = [
            by_hand(config, float(gains[i]), float(gains[half + i]), (lengths[i], lengths[half + i]))
            for i in range(half)
        ]
        wanted.append(sum(each) / half)
        seen.append(float(value))
        return value

    monkeypatch.setattr(PreferenceTrainer, "_compute_loss", observed)
    metrics = Dpo(config).train(student, None, pairs, tmp_path)
    assert seen == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert metrics.first_loss == pytest.approx(first_loss(config), rel=1e-3)
    assert metrics.loss_type == ("" if loss == "sigmoid" else loss)
    rows = log(tmp_path)
    assert {"chosen_logps", "rejected_logps", "chosen_reward", "rejected_reward", "reward_margin"} <= set(rows[0])
    assert rows[-1]["reward_margin"] > rows[0]["reward_margin"]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"loss": "robust"}, "label_smoothing above 0"),
        ({"label_smoothing": 0.1}, "loss robust"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "loss robust"),
        ({"loss": "robust", "label_smoothing": 0.5}, "less than"),
        ({"loss": "dpo"}, "sigmoid_norm"),
    ],
)
def test_losses_that_do_not_exist_say_which_do(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        DpoConfig(**settings)


@pytest.mark.parametrize("shape", [{"use_rslora": True}, {"use_rslora": True, "use_dora": True}])
def test_other_shapes_of_lora_train_load_and_go_on_to_dpo(
    tmp_path: Path, student: ModelConfig, records: list[Record], pairs: list[PreferencePair], shape: dict[str, bool]
) -> None:
    lora = LoraShape(lora_dropout=0.0, **shape)
    sft = LoraSft(SftConfig(**FAST, lora=lora, num_train_epochs=2.0)).train(student, records, tmp_path / "sft")
    assert sft.final_loss < sft.first_loss
    saved = json.loads((tmp_path / "sft/final/adapter_config.json").read_text())
    assert {name: saved[name] for name in shape} == shape
    dpo = Dpo(DpoConfig(**FAST, num_train_epochs=0.5)).train(student, tmp_path / "sft/final", pairs, tmp_path / "dpo")
    assert dpo.first_loss == pytest.approx(math.log(2), abs=1e-3)
    assert ("lora_magnitude_vector" in "".join(names(student, tmp_path / "dpo/final"))) is bool(shape.get("use_dora"))


def names(student: ModelConfig, adapter: Path) -> list[str]:
    from safetensors import safe_open

    load_causal_lm(student, "float32", "cpu", adapter=adapter)
    with safe_open(str(adapter / "adapter_model.safetensors"), "pt") as file:
        return list(file.keys())


def test_settings_that_are_off_leave_the_keys_of_finished_stages() -> None:
    """These hashes are of version 0.1: a run that was finished then stays finished."""
    config = load_config("nano")
    keys = [fingerprint(stage.part(method, config)) for method in METHODS]
    assert keys == ["9fb3c3d17ddc3a83", "067c80ef06b232ff", "365e51842d4af470"]
    for change in ("train.sft.lora.use_dora=true", "train.sft.lora.use_rslora=true"):
        changed = load_config("nano", overrides=[change])
        assert fingerprint(stage.part(METHODS[0], changed)) != keys[0]
    changed = load_config("nano", overrides=["train.dpo.loss=ipo"])
    assert fingerprint(stage.part(METHODS[2], changed)) != keys[2]
