"""The libraries' advice does not appear among a run's lines."""

from __future__ import annotations

import logging

import pytest

from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries


@pytest.mark.parametrize("name", ["transformers.modeling_utils", "peft.tuners", "bitsandbytes.backends.cpu.ops"])
def test_advice_is_silent_and_errors_are_not(name: str) -> None:
    quiet_libraries()
    assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
    assert logging.getLogger(name).isEnabledFor(logging.ERROR)
