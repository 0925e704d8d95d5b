"""The training methods, listed once: whatever needs to know them reads this tuple.

A method's settings are ``train.NAME``, its stage and its folder below ``models/`` have its name, and what trains it is
named in `training.tuners`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Method:
    """One way of tuning a student.

    Attributes:
        name: as in settings, store, folders and on the command line.
        verb: what it is called in ``sit train``.
        title: what its stage does, for people.
        label: its variant's name in tables and figures.
        color: its variant's color in figures, one of Okabe and Ito's, which color-blind readers can tell apart.
        starts_from: the method whose adapter it goes on training; None: it starts from the base model.
        trains_on: what it learns from.
        chooses_students: whether its settings say which students it tunes; otherwise it tunes all.
        metrics_file: its efficiency metrics, in the run's ``evaluation/metrics``.
    """

    name: str
    verb: str
    title: str
    label: str
    color: str
    starts_from: str | None
    trains_on: Literal["records", "pairs"]
    chooses_students: bool
    metrics_file: str


METHODS: tuple[Method, ...] = (
    Method(
        name="sft",
        verb="sft",
        title="SFT: LoRA on each student",
        label="LoRA SFT",
        color="#0072B2",
        starts_from=None,
        trains_on="records",
        chooses_students=False,
        metrics_file="lora_sft.json",
    ),
    Method(
        name="prompt_tuning",
        verb="prompt",
        title="Prompt tuning: virtual tokens instead of weights",
        label="prompt tuning",
        color="#E69F00",
        starts_from=None,
        trains_on="records",
        chooses_students=True,
        metrics_file="prompt_tuning.json",
    ),
    Method(
        name="dpo",
        verb="dpo",
        title="DPO: preference tuning from the SFT adapter",
        label="SFT + DPO",
        color="#009E73",
        starts_from="sft",
        trains_on="pairs",
        chooses_students=False,
        metrics_file="dpo.json",
    ),
)
"""The methods, in the order in which a run trains them and tables show them."""

BASE = "base"
VARIANTS: tuple[str, ...] = (BASE, *(method.name for method in METHODS))
"""The variants of a student that are evaluated: untuned, and after each method."""
LABELS: dict[str, str] = {BASE: BASE} | {method.name: method.label for method in METHODS}
COLORS: dict[str, str] = {BASE: "#8A8F98"} | {method.name: method.color for method in METHODS}


def method(name: str) -> Method:
    """Returns the method of this name.

    Raises:
        KeyError: there is none.
    """
    return {found.name: found for found in METHODS}[name]
