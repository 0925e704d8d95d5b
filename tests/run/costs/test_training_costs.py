"""What a training costs, and the lines that tell it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.run.costs.cards import CARDS
from synthetic_instruction_tuner.run.costs.cards import machine_with as with_card
from synthetic_instruction_tuner.run.costs.training import (
    done_line,
    in_percent,
    peak_flops,
    step_line,
    with_costs,
)

METRICS: dict[str, Any] = {
    "student": "student-3b",
    "device": "NVIDIA H100 80GB HBM3",
    "seconds": 1800.0,
    "steps": 189,
    "tokens_per_second": 20_000.0,
    "total_parameters": 3_200_000_000,
    "trainable_parameters": 12_000_000,
    "peak_memory_gb": 25.9,
    "first_loss": 2.31,
    "final_loss": 1.12,
    "energy_wh": 310.4,
}


def machine(card: str) -> Hardware:
    return with_card(CARDS[card], detect("cpu"))


def test_the_use_of_a_gpu_follows_from_pace_and_data_sheet() -> None:
    found = with_costs(METRICS, machine("h100"), 2.5)
    assert found["mfu"] == pytest.approx(20_000 * (4 * 3.2e9 + 2 * 12e6) / 989e12)
    assert found["cost"] == pytest.approx(1.25)
    line = done_line(found)
    assert line == (
        "student-3b: loss 2.310 -> 1.120 · 189 steps in 30 min 00 s · 20,000 tok/s · 25.9 GB · MFU 26% · 310.4 Wh "
        "· cost 1.25"
    )


def test_what_is_not_known_is_not_told() -> None:
    cpu = METRICS | {"device": "cpu", "energy_wh": 0.0}
    found = with_costs(cpu, detect("cpu"), None)
    assert "mfu" not in found and "cost" not in found
    assert "MFU" not in done_line(found) and "Wh" not in done_line(found)
    assert peak_flops(detect("cpu")) is None


def test_rows_that_were_cut_or_left_out_are_told() -> None:
    odd = METRICS | {"steps": 1, "truncated": 1, "dropped": 2}
    assert "· 1 step in 30 min" in done_line(odd) and done_line(odd).endswith("· 1 row cut to max_length · 2 left out")
    assert "cut" not in done_line(METRICS | {"truncated": 0, "dropped": 0})


def test_a_step_is_told_with_its_loss_first() -> None:
    values = {
        "loss": 1.2345,
        "learning_rate": 2e-4,
        "tokens_per_second": 5430.4,
        "peak_memory_gb": 11.23,
        "grad_norm": 1.0,
    }
    assert step_line(values) == "loss 1.234 · 5,430 tok/s · lr 2.0e-04 · 11.2 GB"
    assert step_line({"grad_norm": 1.0}) is None


@given(st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_the_percentage_never_goes_back_and_ends_at_100(steps: list[int]) -> None:
    """After a recovery steps are done again."""
    told: list[int] = []
    on_step = in_percent(lambda n, note: told.append(n))
    for step in [*steps, 20]:
        on_step(step, 20, {"loss": 1.0})
    assert min(told) >= 0 and sum(told) == 100
