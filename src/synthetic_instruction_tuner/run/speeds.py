"""How fast devices are, for the plan; fitted to measured runs (see docs/planning.md)."""

from __future__ import annotations

from dataclasses import dataclass

from synthetic_instruction_tuner.models.hardware import Hardware


@dataclass(frozen=True, slots=True)
class Speed:
    """What a device does per second, as models reach it.

    Attributes:
        flops: arithmetic, FLOP/s.
        bandwidth: memory traffic, bytes/s.
        layer_seconds: fixed time per layer and forward pass.
        load: bytes/s from disk to the device.
    """

    flops: float
    bandwidth: float
    layer_seconds: float
    load: float = 1e9


SPEEDS = {
    "H200": Speed(3.2e14, 3.5e12, 5e-4),
    "H100": Speed(3.2e14, 2.4e12, 5e-4),
    "A100": Speed(1.3e14, 1.3e12, 6e-4),
    "L4": Speed(4e13, 2.4e11, 8e-4),
    "T4": Speed(2e13, 2.4e11, 1e-3),
}
OTHER_GPU = Speed(4e13, 4e11, 8e-4)
CORE = Speed(2.2e10, 6e9, 1.1e-3)  # one CPU core


def speed_of(hardware: Hardware) -> Speed:
    """Returns the speed of the machine that models run on."""
    if hardware.device == "cuda":
        return next((speed for name, speed in SPEEDS.items() if name in hardware.device_name), OTHER_GPU)
    cores = max(1, min(hardware.cores, 16))
    # Tiny models do not fill more than a few cores: the fixed time per layer does not shrink with them.
    return Speed(CORE.flops * cores, CORE.bandwidth * min(cores, 4), CORE.layer_seconds / min(cores, 2), CORE.load)
