"""What a report is made from: one object, filled from a run's store (or by hand)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

Z = 1.959964  # half width of a 95 % interval, in standard errors
VARIANTS = {"base": "base", "sft": "LoRA SFT", "prompt_tuning": "prompt tuning", "dpo": "SFT + DPO"}
"""The variants in the order in which tables and figures show them, with their names for people."""


@dataclass(frozen=True, slots=True)
class StageLine:
    """One line of the stage table; None where there is nothing to tell."""

    name: str
    status: str
    rows_in: int | None = None
    rows_out: int | None = None
    seconds: float | None = None
    peak_memory_gb: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt with one student's answers to it, by variant."""

    student: str
    prompt: str
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one variant on one benchmark, with its paired differences.

    Attributes:
        model: the student.
        variant: ``base``, ``sft``, ``prompt_tuning`` or ``dpo``.
        value: mean over `n` observations, with its standard error.
        delta_to_base, delta_to_sft: paired differences to the same student's other variant; None where there is none.
        p_to_base, p_to_sft: their two-sided p-values, not corrected for the number of tests.
        ci_low, ci_high: the score's 95 % interval; value ± 1.96 standard errors where there is none.
        clusters: the items that the `n` observations belong to; None when each is its own.
        headline: whether this is the metric that its benchmark is judged by; None when nobody said.
    """

    model: str
    variant: str
    benchmark: str
    metric: str
    value: float
    standard_error: float | None
    n: int
    delta_to_base: float | None = None
    p_to_base: float | None = None
    delta_to_sft: float | None = None
    p_to_sft: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    clusters: int | None = None
    headline: bool | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; of no width where the error is unknown."""
        error = self.standard_error or 0.0
        half = 0.0 if math.isnan(error) else Z * error
        found = [
            end if end is not None and math.isfinite(end) else self.value + sign * half
            for end, sign in ((self.ci_low, -1), (self.ci_high, 1))
        ]
        return min(found[0], self.value), max(found[1], self.value)

    @classmethod
    def from_row(cls, row: Any) -> Score:
        """Returns the score in a comparison row, a mapping or a dataclass; unknown columns are left out."""
        data = asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


@dataclass(slots=True)
class ReportData:
    """A run, as the report sees it. Everything but the names may be missing; the report then says so or leaves it out.

    Attributes:
        run_name, profile, title: what stands at the top.
        config: the resolved configuration.
        hardware: what the run was measured on.
        stages: `StageLine` or mappings with its fields.
        filter_report, preference_report: the JSON of the two reports, parsed or as text.
        training: one mapping per training: method, student, seconds, tokens_per_second, peak_memory_gb,
            trainable_parameters, total_parameters, first_loss, final_loss.
        training_logs: per (method, student) mappings with step and loss.
        comparison: `Score`, mappings or other dataclasses with its fields; a benchmark's first metric is its headline.
        samples: `Sample` or mappings with its fields.
    """

    run_name: str
    profile: str
    title: str = "Synthetic instruction tuning"
    config: Mapping[str, Any] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    stages: Sequence[Any] = ()
    filter_report: Any = None
    preference_report: Any = None
    training: Sequence[Mapping[str, Any]] = ()
    training_logs: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    comparison: Sequence[Any] = ()
    samples: Sequence[Any] = ()

    def __post_init__(self) -> None:
        """Brings every form that a part may come in to the one that the report works with."""
        self.stages = [s if isinstance(s, StageLine) else StageLine(**s) for s in self.stages]
        self.samples = [s if isinstance(s, Sample) else Sample(**s) for s in self.samples]
        self.comparison = [s if isinstance(s, Score) else Score.from_row(s) for s in self.comparison]
        self.filter_report = _parsed(self.filter_report)
        self.preference_report = _parsed(self.preference_report)

    @property
    def headlines(self) -> dict[str, str]:
        """Each benchmark's headline metric: the one that is marked as such, else the first one named."""
        found: dict[str, str] = {}
        for score in sorted(self.comparison, key=lambda s: s.headline is False):
            found.setdefault(score.benchmark, score.metric)
        return found

    @property
    def headline_scores(self) -> list[Score]:
        """The comparison's rows of the headline metrics."""
        headlines = self.headlines
        return [s for s in self.comparison if headlines[s.benchmark] == s.metric]

    @property
    def students(self) -> list[str]:
        """The students, in the comparison's order, else in the trainings'."""
        names = [s.model for s in self.comparison] or [str(t["student"]) for t in self.training]
        return list(dict.fromkeys(names))


def in_order(variants: Sequence[str]) -> list[str]:
    """Returns the distinct variants in the order of `VARIANTS`, unknown ones last."""
    known = list(VARIANTS)
    return sorted(dict.fromkeys(variants), key=lambda v: (known.index(v) if v in known else len(known), v))


def _parsed(report: Any) -> dict[str, Any]:
    if isinstance(report, str):
        report = json.loads(report)
    return dict(report or {})
