"""Peak memory: of a stage, and of one model within it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

_earlier_peak = 0.0  # the peak of the current span before its latest inner peak began


def peak_memory_gb() -> float:
    """Returns the peak memory since `reset_peak_memory`, in GB of 1e9 bytes.

    On a GPU it is what torch has allocated, on a CPU the process's resident size.
    """
    return max(_earlier_peak, inner_peak_memory_gb())


def inner_peak_memory_gb(device: str | None = None) -> float:
    """Returns the peak memory since `begin_inner_peak`, in GB of 1e9 bytes.

    Args:
        device: ``cpu`` or a GPU; when None, the GPU if there is one.
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
    """Starts an inner peak, such as one model's within a stage's, and remembers the outer one."""
    global _earlier_peak
    _earlier_peak = peak_memory_gb()
    _forget_peak()


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
