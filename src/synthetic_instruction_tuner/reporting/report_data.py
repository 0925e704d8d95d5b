"""The data of a report: one object, filled from a run's store (or by hand)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, kind_of, public_first
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.methods import LABELS, METHODS, VARIANTS
from synthetic_instruction_tuner.reporting.agents.details import AgentDetails
from synthetic_instruction_tuner.reporting.benchmark_details import BenchmarkDetails
from synthetic_instruction_tuner.reporting.language.translation import term


@dataclass(frozen=True, slots=True)
class StageLine:
    """One line of the stage table; None where a value is unknown."""

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


@dataclass(slots=True)
class ReportData:
    """A run, as the report sees it. Everything but the names may be missing: the report says so or leaves it out.

    Attributes:
        run_name, profile, title: for the heading.
        config: the resolved configuration.
        hardware: the machine that the run was measured on.
        number_formats: by name, how models were held whose weights were quantized.
        stages: `StageLine` or mappings with its fields.
        filter_report, preference_report: the JSON of the two reports, parsed or as text.
        training: one mapping per training: method, student, seconds, tokens_per_second, peak_memory_gb,
            trainable_parameters, total_parameters, first_loss, final_loss.
        training_logs: per (method, student) mappings with step and loss.
        comparison: the rows of the comparison.
        benchmarks: what is known about the benchmarks, by name; one that is not there is shown by its name alone.
        details: what is shown of public benchmarks beside their scores, by name.
        agents: what is shown of the agent benchmarks.
        samples: `Sample` or mappings with its fields.
        judging: of MT-Bench's judge: its name (``judge``), whether it is checked and with what verdict (``check``, as
            `JudgeCheck.to_json` has it, or None), and comparisons of variants (``pairs``, as `PairSummary.to_json`).
        contamination: by benchmark, the ids of the items ``found`` in the training data, and ``clean``: mappings with
            model, variant, metric, value, standard_error, n and clusters of the scores on the other items.
        generator_health: what the generator's first instructions were like; see `data_generation.faults.Health`.
        generate_target: where records were written until enough passed the filter, how many and how it ended; see
            `data_generation.target.Target`.
        sources: the files of the user's own: kind, file, hash, rows, malformed.
        lengths: per kind of text its name, and the words of each text before and after the filter.
        domains: by domain, its records before and after the filter.
        links: the run's data files by name, as links from the report; see `run.stages.report`.
    """

    run_name: str
    profile: str
    title: str = "Synthetic instruction tuning"
    config: Mapping[str, Any] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    number_formats: Mapping[str, str] = field(default_factory=dict)
    stages: Sequence[Any] = ()
    filter_report: Any = None
    preference_report: Any = None
    training: Sequence[Mapping[str, Any]] = ()
    training_logs: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    comparison: Sequence[ComparisonRow] = ()
    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)
    details: Mapping[str, BenchmarkDetails] = field(default_factory=dict)
    agents: Sequence[AgentDetails] = ()
    samples: Sequence[Any] = ()
    contamination: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judging: Mapping[str, Any] = field(default_factory=dict)
    generator_health: Mapping[str, Any] = field(default_factory=dict)
    generate_target: Mapping[str, Any] = field(default_factory=dict)
    sources: Sequence[Mapping[str, Any]] = ()
    lengths: Sequence[tuple[str, Sequence[int], Sequence[int]]] = ()
    domains: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Converts each part to the form that the report works with."""
        self.stages = [s if isinstance(s, StageLine) else StageLine(**s) for s in self.stages]
        self.samples = [s if isinstance(s, Sample) else Sample(**s) for s in self.samples]
        self.filter_report = _parsed(self.filter_report)
        self.preference_report = _parsed(self.preference_report)

    @property
    def margin(self) -> float:
        """Difference up to which two scores count as equivalent, as a share of the metric's span; 0: none does."""
        return float((self.config.get("evaluate") or {}).get("equivalence_margin") or 0.0)

    @property
    def magpie(self) -> bool:
        """Whether a chat model wrote instructions."""
        return not self.sources or bool((self.config.get("data") or {}).get("mix"))

    @property
    def labels(self) -> dict[str, str]:
        """The variants' names in tables and figures; without records nothing comes before DPO."""
        own = self.config.get("data") or {}
        alone = own.get("pairs") and not (own.get("records") or own.get("prompts") or own.get("mix"))
        return {name: term(label.rpartition(" + ")[2] if alone else label) for name, label in LABELS.items()}

    @property
    def seed(self) -> str:
        """The run's seed, as it stands below figures and tables; empty where it is unknown."""
        return str(self.config.get("seed", ""))

    @property
    def seconds_of_training(self) -> dict[tuple[str, str], float]:
        """Seconds that each method and student trained, with those of the method that it starts from."""
        own = {(str(t["method"]), str(t["student"])): float(t["seconds"]) for t in self.training}
        before = {method.name: method.starts_from for method in METHODS}
        return {
            (method, student): seconds + own.get((before.get(method) or "", student), 0.0)
            for (method, student), seconds in own.items()
        }

    def reads(self, kind: str) -> bool:
        """Returns whether files of the user's own of this kind were read."""
        return any(source["kind"] == kind for source in self.sources)

    @property
    def headlines(self) -> dict[str, str]:
        """Each benchmark's headline metric, the public benchmarks first."""
        found = {row.benchmark: row.metric for row in self.headline_rows}
        return {name: found[name] for name in public_first(found)}

    @property
    def kinds(self) -> set[str]:
        """Whose benchmarks there are: ``public``, ``nano``, or both."""
        return {kind for name in self.headlines if (kind := kind_of(name))}

    @property
    def headline_rows(self) -> list[ComparisonRow]:
        """The comparison's rows of the headline metrics."""
        return [row for row in self.comparison if row.headline]

    @property
    def students(self) -> list[str]:
        """The students, in the comparison's order, else in the trainings'."""
        names = [row.model for row in self.comparison] or [str(t["student"]) for t in self.training]
        return list(dict.fromkeys(names))


def in_order(variants: Sequence[str]) -> list[str]:
    """Returns the distinct variants in the order of `methods.VARIANTS`, unknown ones last."""
    known = {variant: place for place, variant in enumerate(VARIANTS)}
    return sorted(dict.fromkeys(variants), key=lambda v: (known.get(v, len(known)), v))


def _parsed(report: Any) -> dict[str, Any]:
    if isinstance(report, str):
        report = json.loads(report)
    return dict(report or {})
