"""What this machine is, and which device and number format a model gets on it.

torch is imported inside the functions: `sit plan` and `sit --help` must start fast.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_GB = 1024**3


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine.

    Attributes:
        device: ``cuda`` or ``cpu``.
        device_name: the GPU's name, or the processor's architecture.
        cores: CPU cores that this process may use.
        memory_gb: main memory, in GiB.
        gpu_memory_gb: the GPU's memory, in GiB; None without a GPU.
        capability: the GPU's CUDA compute capability; None without a GPU.
        torch_version, transformers_version: installed versions.
    """

    device: str
    device_name: str
    cores: int
    memory_gb: float
    gpu_memory_gb: float | None
    capability: tuple[int, int] | None
    torch_version: str
    transformers_version: str

    @property
    def memory_for_models_gb(self) -> float:
        """The memory that models must fit into, in GB of 1e9 bytes: the GPU's where there is one."""
        return (self.gpu_memory_gb or self.memory_gb) * _GB / 1e9

    def describe(self) -> str:
        """Returns the machine in a few words."""
        gpu = f"{self.device_name} ({self.gpu_memory_gb} GiB), " if self.gpu_memory_gb else ""
        return f"{gpu}{self.cores} CPU cores, {self.memory_gb} GiB of memory"


def detect(wanted: str = "auto") -> Hardware:
    """Returns this machine; torch is imported only where there is an NVIDIA driver to ask about.

    Args:
        wanted: the setting `engine.device`; ``cpu`` leaves a GPU out of account.
    """
    device, name, memory, capability = "cpu", platform.processor() or platform.machine(), None, None
    if wanted != "cpu" and shutil.which("nvidia-smi"):
        import torch

        if torch.cuda.is_available():
            properties = torch.cuda.get_device_properties(0)
            device, name = "cuda", properties.name
            memory, capability = round(properties.total_memory / _GB, 1), (properties.major, properties.minor)
    return Hardware(
        device=device,
        device_name=name,
        cores=available_cores(),
        memory_gb=round(_main_memory() / _GB, 1),
        gpu_memory_gb=memory,
        capability=capability,
        torch_version=_version("torch"),
        transformers_version=_version("transformers"),
    )


def set_threads(threads: int | None) -> int:
    """Lets torch use so many CPU threads, all cores when None; returns the number."""
    import torch

    number = threads or available_cores()
    torch.set_num_threads(number)
    return number


def available_cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _main_memory() -> int:
    """Bytes of main memory; a container's limit where there is one, since that is what kills a process."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        text = limit.read_text().strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdigit() else total


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
