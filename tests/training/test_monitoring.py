"""Pace, energy and trackers of a training."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import ModelConfig, SftConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.monitoring import trackers
from synthetic_instruction_tuner.training.monitoring.energy import EnergyMeter
from synthetic_instruction_tuner.training.monitoring.pace import STEPS, Pace, model_flops
from synthetic_instruction_tuner.training.watch import Clock

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40), st.floats(0.01, 10.0))
def test_the_pace_is_that_of_the_last_steps(tokens: list[int], seconds: float) -> None:
    ticks = iter(range(len(tokens) + 1))
    pace = Pace(tokens, now=lambda: next(ticks) * seconds)
    for step in range(1, len(tokens) + 1):
        last = tokens[max(0, step - STEPS) : step]
        assert pace.after(step) == pytest.approx(sum(last) / len(last) / seconds)


def test_a_first_step_that_compiles_is_forgotten() -> None:
    times = iter([0.0, 100.0, *(100.0 + i for i in range(1, 30))])
    pace = Pace([50] * 30, now=lambda: next(times))
    rates = [pace.after(step) for step in range(1, 25)]
    assert rates[0] == 0.5 and rates[-1] == 50


def test_a_frozen_model_costs_four_flops_per_parameter_and_token() -> None:
    assert model_flops(1000, 3_000_000_000, 0) == 1000 * 4 * 3e9
    assert model_flops(1, 110, 10) == 4 * 110 + 2 * 10


class Nvml(SimpleNamespace):
    """NVIDIA's library with one GPU, whose counter goes up by 7.2 kJ at each look."""

    class NVMLError(Exception):
        pass

    def __init__(self, fails: str = "") -> None:
        super().__init__(fails=fails, joules=0.0, asked=[])

    def nvmlInit(self) -> None:
        if self.fails == "driver":
            raise self.NVMLError

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked.append(uuid)
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        if self.fails == "old GPU":
            raise self.NVMLError
        self.joules += 7200
        return int(self.joules * 1000)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(library: Any) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", library)

    properties = SimpleNamespace(uuid="0a1b")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return use


def test_energy_is_the_difference_of_the_gpus_own_counter(gpu: Any) -> None:
    gpu(library := Nvml())
    meter = EnergyMeter("cuda")
    assert meter.wh() == pytest.approx(2.0) and meter.wh() == pytest.approx(4.0)
    assert library.asked == ["GPU-0a1b"]


@pytest.mark.parametrize("fails", ["driver", "old GPU", "no library"])
def test_energy_that_cannot_be_measured_is_none(gpu: Any, fails: str) -> None:
    gpu(None if fails == "no library" else Nvml(fails))
    assert EnergyMeter("cuda").wh() is None


def test_a_cpu_has_no_counter() -> None:
    assert EnergyMeter("cpu").wh() is None
    assert set(Clock("cpu", None).facts()) == {"seconds", "peak_memory_gb"}


def test_energy_adds_up_over_interruptions(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(Nvml())
    monkeypatch.setattr("synthetic_instruction_tuner.training.watch.inner_peak_memory_gb", lambda device: 1.0)
    clock = Clock("cuda", None)
    clock.energy = 10.0
    assert clock.facts()["energy_wh"] == pytest.approx(12.0)


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_loaded(
    tmp_path: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    tuner = LoraSft(SftConfig())
    tuner.report_to = TRACKERS
    with pytest.raises(UserError, match="tensorboard, wandb, mlflow, trackio") as caught:
        trackers.require_trackers(TRACKERS)
    assert "[tracking]" in caught.value.fix


def test_without_the_setting_nothing_reports_anywhere(
    tmp_path: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a tracker is installed: Transformers would use it."""
    from synthetic_instruction_tuner.training import supervised

    seen: list[Any] = []
    run = supervised.run_training
    monkeypatch.setattr(supervised, "run_training", lambda job, t, *rest: (seen.append(t), run(job, t, *rest))[1])
    LoraSft(SftConfig(num_train_epochs=0.1)).train(student, records, tmp_path)
    assert seen[0].args.report_to == []
    names = {type(callback).__name__ for callback in seen[0].callback_handler.callbacks}
    assert names == {"DefaultFlowCallback", "Watch"}


def test_tensorboard_gets_trls_figures_beside_the_adapter(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tuner = LoraSft(SftConfig(num_train_epochs=2.0, per_device_train_batch_size=1))
    tuner.report_to = ("tensorboard",)
    tuner.train(student, records, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert len(events.Scalars("train/loss")) == 7
    assert {"train/learning_rate", "train/grad_norm"} <= set(events.Tags()["scalars"])
