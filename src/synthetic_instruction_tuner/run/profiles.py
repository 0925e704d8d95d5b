"""Which profile fits a machine."""

from __future__ import annotations

from synthetic_instruction_tuner.models.hardware import Hardware

AUTO = "auto"  # the profile that is chosen for the machine
# The least GPU memory of each profile, in GB of 1e9 bytes: what its card has, and a little less.
LEAST_GPU_GB = (("h200", 130.0), ("a100", 38.0), ("l4", 21.0), ("t4", 14.0))
LEAST_MAIN_GB = 8.0  # of main memory, for the models of profile cpu


def fitting_profile(hardware: Hardware) -> str:
    """Returns the largest profile that fits; a small GPU runs the small models of profile cpu."""
    if hardware.gpu_memory_gb is not None:
        for name, least in LEAST_GPU_GB:
            if hardware.gpu_memory_gb >= least:
                return name
    return "cpu" if hardware.memory_gb >= LEAST_MAIN_GB else "nano"


def auto_line(hardware: Hardware) -> str:
    """Returns which profile auto takes on a machine, in a sentence."""
    return f"Profile auto takes {fitting_profile(hardware)} for {hardware.describe()}."


def hint(hardware: Hardware) -> str | None:
    """Returns a sentence for a run that uses profile nano on a machine with a GPU; None without one."""
    if hardware.gpu_memory_gb is None:
        return None
    name = fitting_profile(hardware)
    return (
        f"This is profile nano, with tiny models. {hardware.device_name} ({hardware.gpu_memory_gb:.1f} GB) fits "
        f"profile {name}: 'sit plan --profile {name}' shows what that takes."
    )
