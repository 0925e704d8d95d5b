"""The most memory that was held at once: of a stage, and of one model within it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

_earlier_peak = 0.0  # of the current span, before the peak within it that began last


def peak_memory_gb() -> float:
    """Returns the most memory held at once since `reset_peak_memory`, in GB of 1e9 bytes.

    It is torch's on a GPU, the process's resident size on a CPU.
    """
    return max(_earlier_peak, inner_peak_memory_gb())


def inner_peak_memory_gb(device: str | None = None) -> float:
    """Returns the most memory held at once since `begin_inner_peak`, in GB of 1e9 bytes.

    Args:
        device: whose memory; a GPU's where there is one when None.
    """
    torch = sys.modules.get("torch")
    if torch is not None and device != "cpu" and torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated(device)) / 1e9
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def reset_peak_memory() -> None:
    """Starts a new peak, on a GPU and, where Linux allows it, of the process's resident memory."""
    global _earlier_peak
    _earlier_peak = 0.0
    _forget_peak()


def begin_inner_peak() -> None:
    """Starts a peak within the current one, such as one model's within a stage's, which stays known."""
    global _earlier_peak
    _earlier_peak = peak_memory_gb()
    _forget_peak()


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
