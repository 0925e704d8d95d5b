"""GPUs that a run can be planned for, whether or not they are in this machine.

Memory is what PyTorch reports as the total, in GB of 1e9 bytes, which is what programs get. Bandwidth and FLOP/s are
those of NVIDIA's data sheets for T4, L4, L40S, A100 (SXM, 40 and 80 GB), H100 (SXM) and H200, and of the white papers
on GA102 and AD102 for RTX 3090 and RTX 4090. FLOP/s are dense, in 16 bits with sums in float32; where a data sheet
gives those with sparsity, half of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU.

    Attributes:
        name: as PyTorch names it, or nearly.
        memory_gb: what programs get, in GB of 1e9 bytes.
        bandwidth: of its memory, bytes/s.
        flops: dense arithmetic in 16 bits, FLOP/s.
        capability: CUDA compute capability; bfloat16 and FlashAttention 2 need 8.0.
        assumed: whether its speed is not known and a usual one is assumed.
    """

    name: str
    memory_gb: float
    bandwidth: float
    flops: float
    capability: tuple[int, int]
    assumed: bool = False


CARDS = {
    "t4": Card("NVIDIA T4", 15.6, 320e9, 65e12, (7, 5)),
    "l4": Card("NVIDIA L4", 23.6, 300e9, 121e12, (8, 9)),
    "rtx3090": Card("NVIDIA GeForce RTX 3090", 25.3, 936e9, 71e12, (8, 6)),
    "rtx4090": Card("NVIDIA GeForce RTX 4090", 25.3, 1008e9, 165e12, (8, 9)),
    "l40s": Card("NVIDIA L40S", 47.8, 864e9, 362e12, (8, 9)),
    "a100-40": Card("NVIDIA A100 40GB", 42.3, 1555e9, 312e12, (8, 0)),
    "a100-80": Card("NVIDIA A100 80GB", 84.9, 2039e9, 312e12, (8, 0)),
    "h100": Card("NVIDIA H100 80GB", 84.9, 3350e9, 989e12, (9, 0)),
    "h200": Card("NVIDIA H200", 150.1, 4800e9, 989e12, (9, 0)),
}
OTHER = Card("another GPU", 16.0, 400e9, 65e12, (8, 0), assumed=True)

_UNITS = {
    "memory": {"GB": 1.0, "GIB": 1.073741824, "MB": 1e-3, "MIB": 1.048576e-3, "TB": 1e3},
    "bandwidth": {"MB/S": 1e6, "GB/S": 1e9, "TB/S": 1e12, "GIB/S": 2.0**30, "TIB/S": 2.0**40},
    "flops": {
        f"{size}{name}": power
        for size, power in (("G", 1e9), ("T", 1e12), ("P", 1e15))
        for name in ("FLOPS", "FLOP/S", "FLOP")
    },
}
_LEAST, _MOST = {"memory": 0.5, "bandwidth": 1e9, "flops": 1e11}, {"memory": 1e4, "bandwidth": 1e15, "flops": 1e18}
EXAMPLE = "memory=24GB,bandwidth=1TB/s,flops=120TFLOPS"


def card_of(hardware: Hardware) -> Card:
    """Returns the card of a machine with a GPU; one that the table does not have gets an assumed speed."""
    memory = hardware.gpu_memory_gb or 0.0
    words = set(re.split(r"[^a-z0-9]+", hardware.device_name.lower()))
    found = [card for card in CARDS.values() if _model(card) in words]
    if not found:
        return replace(OTHER, name=hardware.device_name, memory_gb=memory, capability=hardware.capability or (8, 0))
    nearest = min(found, key=lambda card: abs(card.memory_gb - memory))
    return replace(nearest, memory_gb=memory, capability=hardware.capability or nearest.capability)


def _model(card: Card) -> str:
    """The word of a card's name that tells it from others: a T4, a 4090, an A100."""
    return next(word for word in card.name.lower().split() if any(c.isdigit() for c in word))


def read_card(text: object) -> Card:
    """Returns the card that ``--on`` names, or describes by memory, bandwidth and arithmetic.

    Raises:
        UserError: no card has this name, or the description cannot be.
    """
    words = [word.strip() for word in str(text).split(",") if word.strip()]
    name = re.sub(r"[\s_]+", "-", words[0].lower()) if words and "=" not in words[0] else ""
    if name in ("a100", "nvidia-a100"):
        raise UserError("There are two kinds of A100.", "They have 40 and 80 GB.", "Use --on a100-40 or --on a100-80.")
    if name and name not in CARDS:
        raise _unknown(str(text))
    values = dict(_value(word) for word in (words[1:] if name else words))
    if name:
        card = CARDS[name]
    else:
        if missing := [key for key in _UNITS if key not in values]:
            raise UserError(
                f"--on {text} does not describe a GPU." if words else "--on names no GPU.",
                f"Its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
                f"Write for example --on {EXAMPLE}, or one of {', '.join(CARDS)}.",
            )
        card = replace(OTHER, name="a GPU as described", assumed=False)
    memory, bandwidth = values.get("memory", card.memory_gb), values.get("bandwidth", card.bandwidth)
    major, minor = divmod(round(10 * values["capability"]), 10) if "capability" in values else card.capability
    flops = values.get("flops", card.flops)
    return Card(card.name, memory, bandwidth, flops, (int(major), int(minor)))


def _unknown(text: str) -> UserError:
    fix = f"Use one of {', '.join(CARDS)}, or describe it: --on {EXAMPLE}"
    return UserError(f"No GPU is known as {text[:60]!r}.", "The plan needs its memory and its speed.", fix)


def _value(word: str) -> tuple[str, float]:
    key, _, value = (part.strip() for part in word.partition("="))
    key, number = key.lower(), re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z/]*)", value)
    if key == "capability" and number and not number[2] and 3.0 <= float(number[1]) < 20:
        return key, float(number[1])
    units = _UNITS.get(key)
    if units is None or number is None or number[2].upper() not in units:
        fix = f"Write for example --on {EXAMPLE}; capability=8.6 may follow."
        raise UserError(f"--on cannot read {word[:60]!r}.", "Each part is a name, a number and its unit.", fix)
    amount = float(number[1]) * units[number[2].upper()]
    if not _LEAST[key] <= amount <= _MOST[key]:
        fix = f"Write for example --on {EXAMPLE}"
        raise UserError(f"--on: no GPU has {word[:60]}.", "The number or its unit is wrong.", fix)
    return key, amount


def machine_with(card: Card, here: Hardware) -> Hardware:
    """Returns a machine that has this card, and is like this one otherwise."""
    return replace(
        here, device="cuda", device_name=card.name, gpu_memory_gb=round(card.memory_gb, 1), capability=card.capability
    )
