"""What a finished training's curve says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.training.monitoring.curve import both_fell, flat_loss, warnings


def curve(losses: list[float]) -> list[dict[str, float]]:
    return [{"loss": loss, "learning_rate": 1e-4} for loss in losses]


def rewards(chosen: list[float], rejected: list[float]) -> list[dict[str, float]]:
    pairs = zip(chosen, rejected, strict=True)
    return [
        {"loss": 0.6 - 0.01 * i, "learning_rate": 1e-4, "chosen_reward": c, "rejected_reward": r}
        for i, (c, r) in enumerate(pairs)
    ]


@pytest.mark.parametrize("losses", [[2.3] * 30, [2.3, 2.31] * 10, [1.0 + 0.01 * i for i in range(9)]])
def test_a_loss_that_does_not_fall_is_said(losses: list[float]) -> None:
    assert "did not fall" in (flat_loss(curve(losses)) or "")


@given(st.floats(0.1, 12.0), st.integers(6, 200), st.floats(0.02, 0.9))
def test_a_loss_that_falls_is_no_matter(first: float, steps: int, share: float) -> None:
    assert warnings(curve([first * (1 - share * i / steps) for i in range(steps)])) == []


def test_a_few_steps_say_nothing() -> None:
    assert warnings(curve([1.0] * 5)) == []


def test_both_answers_becoming_unlikely_is_said() -> None:
    steps = rewards([-0.01 * i for i in range(20)], [-0.05 * i for i in range(20)])
    assert "both answers became less likely" in (both_fell(steps) or "")
    assert warnings(steps) == [both_fell(steps)]


@given(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=40))
def test_a_chosen_answer_that_stays_as_likely_is_no_matter(noise: list[float]) -> None:
    chosen = [abs(x) for x in noise]
    assert both_fell(rewards(chosen, [-5.0] * len(noise))) is None
