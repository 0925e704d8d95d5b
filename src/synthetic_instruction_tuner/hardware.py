"""What this machine is, and which device and number format a model gets on it.

torch is imported inside the functions: `sit plan` and `sit --help` must start fast.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from synthetic_instruction_tuner.errors import UserError

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


def choose_device(hardware: Hardware, wanted: str) -> str:
    """Returns ``cuda`` or ``cpu`` for the setting ``auto``, ``cuda`` or ``cpu``.

    Raises:
        UserError: a GPU is wanted and there is none.
    """
    if wanted == "cuda" and hardware.device != "cuda":
        raise UserError(
            "No CUDA GPU was found.",
            f"engine.device is cuda, and torch {hardware.torch_version} sees only a CPU",
            "Set engine.device=auto, or install a torch build that fits your GPU driver.",
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


def quiet_libraries() -> None:
    """Switches off the libraries' telemetry, progress bars and advice. Works before and after their import."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ[name] = "1"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait for each other spin for some 50 microseconds, then sleep. Spinning for long takes the cores away
    # from whatever else runs; sleeping at once makes training tiny models half as slow again.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for name in ("transformers", "huggingface_hub", "datasets", "peft", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(transformers|peft|trl|datasets|torch|accelerate)(\.|$)")
    if "transformers" in sys.modules:
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()


def set_threads(threads: int | None) -> int:
    """Lets torch use so many CPU threads, all cores when None; returns the number."""
    import torch

    number = threads or available_cores()
    torch.set_num_threads(number)
    return number


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
