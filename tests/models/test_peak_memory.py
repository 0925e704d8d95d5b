"""The peak of memory, of a stage and of what happens within it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from synthetic_instruction_tuner.models.peak_memory import (
    begin_inner_peak,
    inner_peak_memory_gb,
    peak_memory_gb,
    reset_peak_memory,
)

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or not Path("/proc/self/clear_refs").exists(),
    reason="the process's own peak can be started anew on Linux only, and a GPU's is looked at first",
)


def hold(megabytes: int) -> None:
    held = bytearray(megabytes * 1_000_000)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that it is in memory


def test_a_part_has_a_peak_of_its_own_and_the_whole_keeps_the_largest() -> None:
    reset_peak_memory()
    before = inner_peak_memory_gb()
    begin_inner_peak()
    hold(300)
    large = inner_peak_memory_gb()
    begin_inner_peak()
    hold(60)
    small = inner_peak_memory_gb()
    assert before + 0.27 < large < before + 0.36  # 0.3 GB of 1e9 bytes
    assert small < large - 0.2 and peak_memory_gb() == pytest.approx(large, abs=0.01)
    reset_peak_memory()
    assert peak_memory_gb() < large - 0.2
