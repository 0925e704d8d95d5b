"""The energy that a GPU has used, from the counter that its driver keeps (NVML).

The counter exists from Volta on, and is read through NVIDIA's own `nvidia-ml-py` where that is installed. It is of the
whole GPU, whatever else runs there. Where it cannot be read nothing is measured, and nothing is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch

JOULES_PER_WH = 3600.0


class EnergyMeter:
    """Watt-hours since it was made, or None where they cannot be measured."""

    def __init__(self, device: str) -> None:
        self._read = _counter(device)
        self._start = self._read() if self._read else None

    def wh(self) -> float | None:
        """Returns the energy used so far, in Wh."""
        now = self._read() if self._read else None
        return None if now is None or self._start is None else (now - self._start) / JOULES_PER_WH


def _counter(device: str) -> Callable[[], float | None] | None:
    """Returns what reads a GPU's counter, in joules; None on a CPU, and without NVML."""
    if device == "cpu":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid(device))
    except Exception:  # no library, no driver, or a GPU in a container without rights
        return None

    def read() -> float | None:
        found: float | None = None
        with contextlib.suppress(pynvml.NVMLError):  # older than Volta, or gone
            found = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
        return found

    return read


def _uuid(device: str) -> str:
    """Returns the GPU's own name, which CUDA_VISIBLE_DEVICES does not change."""
    properties: Any = torch.cuda.get_device_properties(device)
    text = str(properties.uuid)
    return text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"
