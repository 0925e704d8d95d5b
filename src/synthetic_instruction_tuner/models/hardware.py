"""This machine, and the device and precision that a model gets on it.

torch is imported inside the functions: `sit plan` and `sit --help` must start fast.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from synthetic_instruction_tuner.errors import UserError

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine.

    Attributes:
        device: ``cuda`` or ``cpu``.
        device_name: the GPU's name, or the processor's architecture.
        cores: CPU cores that this process may use.
        memory_gb: main memory, in GB of 1e9 bytes.
        gpu_memory_gb: the GPU's memory, in GB of 1e9 bytes; None without a GPU.
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
        return self.gpu_memory_gb or self.memory_gb

    def describe(self) -> str:
        """Returns the machine in a few words."""
        gpu = f"{self.device_name} ({self.gpu_memory_gb:.1f} GB), " if self.gpu_memory_gb else ""
        return f"{gpu}{self.cores} CPU cores, {self.memory_gb:.1f} GB of memory"


def detect(wanted: str = "auto") -> Hardware:
    """Returns this machine; torch is imported only where there is an NVIDIA driver to ask about.

    Args:
        wanted: the setting `engine.device`; ``cpu`` ignores a GPU.
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


def choose_device(hardware: Hardware, wanted: str) -> str:
    """Returns ``cuda`` or ``cpu`` for the setting ``auto``, ``cuda`` or ``cpu``.

    Raises:
        UserError: a GPU is wanted and there is none.
    """
    if wanted == "cuda" and hardware.device != "cuda":
        raise UserError(
            "No CUDA GPU was found.",
            f"engine.device is cuda, and torch {hardware.torch_version} sees only a CPU",
            "Set engine.device=auto, or install a torch build that matches your GPU driver.",
        )
    return hardware.device if wanted == "auto" else wanted


def choose_dtype(hardware: Hardware, wanted: str) -> tuple[str, str]:
    """Returns the name of the weights' type and the reason for it.

    ``auto`` is bfloat16 from compute capability 8.0 on, float16 on older GPUs (which only emulate bfloat16), and
    float32 on a CPU.

    Raises:
        UserError: bfloat16 is wanted on a GPU that only emulates it.
    """
    if hardware.capability is None:
        return ("float32", "CPU") if wanted == "auto" else (wanted, "set in the configuration")
    major, minor = hardware.capability
    native = hardware.capability >= (8, 0)
    if wanted == "auto":
        return "bfloat16" if native else "float16", f"compute capability {major}.{minor}"
    if wanted == "bfloat16" and not native:
        raise UserError(
            f"{hardware.device_name} has no bfloat16.",
            f"its compute capability is {major}.{minor}; bfloat16 needs 8.0",
            "Set engine.dtype=auto or engine.dtype=float16.",
        )
    return wanted, "set in the configuration"


def set_threads(threads: int | None) -> int:
    """Sets the number of CPU threads that torch uses, all cores when None, and returns it."""
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
