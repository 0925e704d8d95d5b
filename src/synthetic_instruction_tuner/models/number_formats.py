"""Which device a model runs on, and which number format its weights have there."""

from __future__ import annotations

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware


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
