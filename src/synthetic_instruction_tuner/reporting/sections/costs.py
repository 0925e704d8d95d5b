"""What a gain cost: seconds, memory and trained parameters per point, for each method and reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes, listed, number
from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order
from synthetic_instruction_tuner.reporting.sections.findings import Finding, findings


@dataclass(frozen=True, slots=True)
class PointCost:
    """What one method's gain on one benchmark cost, as means over the students that have both.

    Attributes:
        finding: what is compared with what.
        unit: what a point is: a percentage point of a share, or one unit of any other score.
        gain: mean gain in points; above 0 is better.
        error: the largest standard error of one student's gain, in points; nan where none is known.
        held: students whose gain holds after correction.
        seconds: mean seconds of training, with those of the method that it starts from unless it is compared with it.
        memory: largest peak memory, GB.
        parameters: mean number of trained parameters.
    """

    finding: Finding
    unit: str
    gain: float
    error: float
    held: int
    seconds: float
    memory: float
    parameters: float

    @property
    def proven(self) -> bool:
        """Whether there is a gain to divide by: better on average, and for one student at least after correction."""
        return self.gain > 0 and self.held > 0

    @property
    def seconds_per_point(self) -> float | None:
        """Seconds of training per point gained; None where no gain is proven."""
        return self.seconds / self.gain if self.proven else None

    @property
    def parameters_per_point(self) -> float | None:
        """Trained parameters per point gained; None where no gain is proven."""
        return self.parameters / self.gain if self.proven else None


def point_costs(data: ReportData) -> list[PointCost]:
    """Returns what each comparison with base, and with what a method starts from, has cost."""
    by_key = {(str(t["method"]), str(t["student"])): t for t in data.training}
    whole = data.seconds_of_training
    starts = {method.name: method.starts_from for method in METHODS}
    found = []
    for finding in findings(data):
        tests = [test for test in finding.tests if (finding.variant, test.row.model) in by_key]
        if not tests or finding.reference not in ("base", starts.get(finding.variant)):
            continue
        metric = described_metric(finding.benchmark, finding.metric)
        share = metric.span == 1 if metric else all(0 <= test.row.value <= 1 for test in tests)
        scale = 100.0 if share else 1.0
        mine = [by_key[finding.variant, test.row.model] for test in tests]
        own = [float(t["seconds"]) for t in mine]
        seconds = [whole[finding.variant, t.row.model] for t in tests] if finding.reference == "base" else own
        found.append(
            PointCost(
                finding,
                "percentage point" if share else "unit of the score",
                scale * _mean([test.gain for test in tests]),
                scale * max((e for t in tests if not isnan(e := t.difference.standard_error)), default=nan),
                sum(test.improves > 0 for test in tests),
                _mean(seconds),
                max(float(t["peak_memory_gb"]) for t in mine),
                _mean([float(t["trainable_parameters"]) for t in mine]),
            )
        )
    return found


def method_costs(data: ReportData) -> list[str]:
    """Returns a sentence for each method on its time, memory and parameters; then one on what was not measured."""
    found = []
    for method in in_order([str(t["method"]) for t in data.training]):
        rows = [t for t in data.training if t["method"] == method]
        start = {m.name: m.starts_from for m in METHODS}.get(method)
        own = any(t["method"] == start for t in data.training)
        share = _mean([t["trainable_parameters"] / t["total_parameters"] for t in rows])
        name = data.labels.get(method, method)
        values = {
            "method": f"{name[:1].upper()}{name[1:]}",
            "parameters": number(round(_mean(_values(rows, "trainable_parameters")))),
            "share": share,
            "time": duration(_mean(_values(rows, "seconds"))),
            "memory": gigabytes(max(_values(rows, "peak_memory_gb"))),
        }
        if own:
            said = say(
                "{method} trained {parameters} parameters ({share:.2%} of the model) in {time} per student, on top of "
                "{start}, with at most {memory} of memory.",
                start=data.labels.get(start or "", start),
                **values,
            )
        else:
            said = say(
                "{method} trained {parameters} parameters ({share:.2%} of the model) in {time} per student, with at "
                "most {memory} of memory.",
                **values,
            )
        found.append(said)
    return [*found, f"{energy(data)}."] if found else []


def energy(data: ReportData) -> str:
    """Returns the energy of all trainings, or that it was not measured."""
    known = [float(t["energy_wh"]) for t in data.training if t.get("energy_wh")]
    if not known:
        return say("Energy was not measured")
    if len(known) == len(data.training):
        return say("Training took {energy:,.1f} Wh", energy=sum(known))
    return say(
        "Training took {energy:,.1f} Wh in {n} of {all} trainings",
        energy=sum(known),
        n=len(known),
        all=len(data.training),
    )


def extras(training: Mapping[str, Any]) -> str:
    """Returns what a training used beside time and memory, where that is known."""
    mfu, used, cost = training.get("mfu"), training.get("energy_wh"), training.get("cost")
    parts = [say("{share:.0%} of the GPU's FLOP/s (MFU)", share=mfu)] if mfu is not None else []
    parts += [f"{used:,.1f} Wh"] if used else []
    return ", ".join([*parts, say("a cost of {cost:.2f}", cost=cost)] if cost is not None else parts)


def per_point(data: ReportData) -> list[str]:
    """Returns for each benchmark a sentence that sets the methods' parameters and seconds per point side by side."""
    found = []
    costs = [cost for cost in point_costs(data) if cost.finding.reference == "base"]
    for name in data.headlines:
        own = [cost for cost in costs if cost.finding.benchmark == name]
        parts = [
            say(
                "{method} {parameters} parameters and {seconds} s",
                method=data.labels.get(c.finding.variant, c.finding.variant),
                parameters=number(round(c.parameters_per_point or 0)),
                seconds=number(c.seconds_per_point),
            )
            for c in own
            if c.proven
        ]
        without = [data.labels.get(c.finding.variant, c.finding.variant) for c in own if not c.proven]
        if not parts:
            continue
        values = {"benchmark": name, "unit": term(own[0].unit), "costs": listed(parts)}
        if without:
            said = say(
                "{benchmark}: one {unit} over base cost {costs}; no gain to divide by: {others}.",
                others=listed(without),
                **values,
            )
        else:
            said = say("{benchmark}: one {unit} over base cost {costs}.", **values)
        found.append(said)
    return found


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
